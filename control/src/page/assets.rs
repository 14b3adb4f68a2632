//! The files that the pages load, embedded, under addresses that name their content: they can be cached for
//! ever, and a new deployment never meets an old script.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

/// A file to answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Its media type.
    pub content_type: &'static str,
    /// Its bytes.
    pub body: &'static [u8],
}

/// A file of this build. A script may import those that stand before it here, by `"./name"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum File {
    /// The general style sheet.
    Pico,
    /// The style sheet of the frame around every page, its headings and text.
    BaseStyle,
    /// The style sheet of what pages are made of.
    PartsStyle,
    /// The style sheet of a secret that is shown once.
    SecretStyle,
    /// The style sheet of pictures of use.
    PlotStyle,
    /// The style sheet of the list of keys and of the form for a new one.
    KeysStyle,
    /// The style sheet of a key's own pages.
    KeyStyle,
    /// The style sheet of owners and companies.
    DirectoryStyle,
    /// The style sheet of the policy.
    PolicyStyle,
    /// The style sheet of lists of what happened.
    LogStyle,
    /// The style sheet of the audit trail.
    AuditStyle,
    /// The style sheet of the form of a webhook.
    WebhooksStyle,
    /// The script of every page.
    Ui,
    /// The script that shows a new key once.
    Secret,
    /// The script that makes a key for a form.
    Birth,
    /// The script of the form for a new key.
    NewKey,
    /// The script of the form for a key's successor.
    Rotate,
    /// The script of a key's own pages.
    Key,
    /// The script of the list of keys.
    Keys,
    /// The script of the pages of owners, companies and the policy.
    Directory,
    /// The script of webhooks.
    Webhooks,
}

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

impl File {
    /// The style sheets of every page, the more general one first.
    pub(super) const STYLES: [Self; 3] = [Self::Pico, Self::BaseStyle, Self::PartsStyle];

    const ALL: [Self; 21] = [
        Self::Pico,
        Self::BaseStyle,
        Self::PartsStyle,
        Self::SecretStyle,
        Self::PlotStyle,
        Self::KeysStyle,
        Self::KeyStyle,
        Self::DirectoryStyle,
        Self::PolicyStyle,
        Self::LogStyle,
        Self::AuditStyle,
        Self::WebhooksStyle,
        Self::Ui,
        Self::Secret,
        Self::Birth,
        Self::NewKey,
        Self::Rotate,
        Self::Key,
        Self::Keys,
        Self::Directory,
        Self::Webhooks,
    ];

    /// Name, media type and text.
    const fn source(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Pico => ("pico.css", CSS, include_str!("../../assets/pico.min.css")),
            Self::BaseStyle => ("base.css", CSS, include_str!("../../assets/base.css")),
            Self::PartsStyle => ("parts.css", CSS, include_str!("../../assets/parts.css")),
            Self::SecretStyle => ("secret.css", CSS, include_str!("../../assets/secret.css")),
            Self::PlotStyle => ("plot.css", CSS, include_str!("../../assets/plot.css")),
            Self::KeysStyle => ("keys.css", CSS, include_str!("../../assets/keys.css")),
            Self::KeyStyle => ("key.css", CSS, include_str!("../../assets/key.css")),
            Self::DirectoryStyle => ("directory.css", CSS, include_str!("../../assets/directory.css")),
            Self::PolicyStyle => ("policy.css", CSS, include_str!("../../assets/policy.css")),
            Self::LogStyle => ("log.css", CSS, include_str!("../../assets/log.css")),
            Self::AuditStyle => ("audit.css", CSS, include_str!("../../assets/audit.css")),
            Self::WebhooksStyle => ("webhooks.css", CSS, include_str!("../../assets/webhooks.css")),
            Self::Ui => ("ui.mjs", SCRIPT, include_str!("../../assets/ui.mjs")),
            Self::Secret => ("secret.mjs", SCRIPT, include_str!("../../assets/secret.mjs")),
            Self::Birth => ("birth.mjs", SCRIPT, include_str!("../../assets/birth.mjs")),
            Self::Rotate => ("rotate.mjs", SCRIPT, include_str!("../../assets/rotate.mjs")),
            Self::NewKey => ("new-key.mjs", SCRIPT, include_str!("../../assets/new-key.mjs")),
            Self::Key => ("key.mjs", SCRIPT, include_str!("../../assets/key.mjs")),
            Self::Directory => ("directory.mjs", SCRIPT, include_str!("../../assets/directory.mjs")),
            Self::Keys => ("keys.mjs", SCRIPT, include_str!("../../assets/keys.mjs")),
            Self::Webhooks => ("webhooks.mjs", SCRIPT, include_str!("../../assets/webhooks.mjs")),
        }
    }

    /// Its address.
    pub(super) fn url(self) -> &'static str {
        SERVED.iter().find(|served| served.file == self).map_or("", |served| &served.address)
    }
}

struct Served {
    file: File,
    address: String,
    content_type: &'static str,
    body: String,
}

static SERVED: LazyLock<Vec<Served>> = LazyLock::new(|| {
    let mut all: Vec<Served> = Vec::new();
    for file in File::ALL {
        let (name, content_type, text) = file.source();
        let mut body = text.to_owned();
        for other in &all {
            body = body.replace(&format!("\"./{}\"", other.file.source().0), &format!("\"{}\"", other.address));
        }
        all.push(Served { file, address: address(name, body.as_bytes()), content_type, body });
    }
    all
});

/// The file at this path of the request; `None` if there is none, or the path names another content.
pub fn asset(path: &str) -> Option<Asset> {
    let served = SERVED.iter().find(|served| served.address == path)?;
    Some(Asset { content_type: served.content_type, body: served.body.as_bytes() })
}

fn address(name: &str, body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let hash: String = hex::encode(digest).chars().take(8).collect();
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "bin"));
    format!("/assets/{stem}.{hash}.{extension}")
}

/// The classes of a page that only style sheets have which it does not name. The tests look at every page that they make.
#[cfg(test)]
pub(super) fn undressed(page: &str, named: &[File]) -> Vec<String> {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    // Whether a style sheet has a class, of any element or of this one.
    let has = |file: &File, element: &str, class: &str| {
        let selectors = file.source().2.lines().filter(|line| line.ends_with(['{', ',']));
        let mut places = selectors.flat_map(|line| line.match_indices(class).map(move |(at, _)| line.split_at(at)));
        places.any(|(before, rest)| {
            let Some(before) = before.strip_suffix('.') else { return false };
            let of = before.rsplit(|c| !is_word(c)).next().unwrap_or_default();
            !rest[class.len()..].starts_with(is_word) && (of.is_empty() || of == element)
        })
    };
    let areas: Vec<File> = File::ALL.into_iter().filter(|file| file.source().1 == CSS && !File::STYLES.contains(file)).collect();
    let tags = page.split('<').filter_map(|tag| tag.split_once('>')).filter_map(|(tag, _)| {
        let classes = tag.split_once(" class=\"")?.1.split('"').next()?;
        Some((tag.split(' ').next()?, classes))
    });
    let all = tags.flat_map(|(element, classes)| classes.split(' ').map(move |class| (element, class)));
    let lacks = |(element, class): &(&str, &str)| {
        let had = |files: &[File]| files.iter().any(|file| has(file, element, class));
        !had(&File::STYLES) && had(&areas) && !had(named)
    };
    all.filter(lacks).map(|(element, class)| format!("{element}.{class}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_gives_its_file_with_its_type() {
        for file in File::ALL {
            let asset = asset(file.url()).unwrap();
            let is_script = file.url().rsplit('.').next() == Some("mjs");
            assert_eq!(asset.content_type, if is_script { SCRIPT } else { CSS }, "{file:?}");
            assert!(!asset.body.is_empty());
        }
    }

    #[test]
    fn scripts_import_each_other_by_their_addresses() {
        let text = |file: File| core::str::from_utf8(asset(file.url()).unwrap().body).unwrap();
        assert!(text(File::Keys).contains(&format!("from \"{}\"", File::Ui.url())));
        for file in File::ALL {
            assert!(!text(file).contains("from \"./"), "{file:?} imports what does not stand before it");
        }
    }

    /// The style sheets of these pages.
    fn styles() -> impl Iterator<Item = (&'static str, &'static str)> {
        File::ALL
            .into_iter()
            .filter(|file| *file != File::Pico)
            .map(File::source)
            .filter(|of| of.1 == CSS)
            .map(|(name, _, text)| (name, text))
    }

    #[test]
    fn style_sheets_close_what_they_open_and_are_of_one_idea() {
        assert!(styles().count() > 2);
        for (name, text) in styles() {
            assert_eq!(text.matches('{').count(), text.matches('}').count(), "{name}");
            assert!(text.starts_with("/* ") && text.lines().count() < 350, "{name} says what it is for, and is short");
        }
    }

    #[test]
    fn style_sheets_name_no_class_that_no_page_has() {
        let pages = sources("src/page", "rs") + &sources("assets", "mjs");
        let has = |class: &str| {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let mut found = pages.match_indices(class);
            found.any(|(at, _)| {
                let before = pages[..at].chars().next_back().unwrap_or(' ');
                let after = pages[at + class.len()..].chars().next().unwrap_or(' ');
                "\". ".contains(before) && !is_part(after)
            })
        };
        for (name, text) in styles() {
            let selectors = text.lines().filter(|line| line.ends_with(['{', ',']) && !line.trim_start().starts_with("/*"));
            for class in selectors.flat_map(|line| line.split('.').skip(1)) {
                let class = class.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap_or_default();
                assert!(class.is_empty() || has(class), "{name}: .{class}");
            }
        }
    }

    #[test]
    fn a_class_that_a_page_has_is_missed_where_its_style_sheet_is_not_named() {
        let page = "<p class=\"muted\"><span class=\"ways x\"></span><aside class=\"result\"><section class=\"result\"></section>";
        assert_eq!(undressed(page, &[]), ["span.ways", "section.result"]);
        assert_eq!(undressed(page, &[File::DirectoryStyle, File::PolicyStyle]), [""; 0]);
    }

    /// The text of all files of a folder of this package, and of those below it.
    fn sources(folder: &str, extension: &str) -> String {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut text = String::new();
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|is| is == extension) {
                    text += &std::fs::read_to_string(path).unwrap();
                }
            }
        }
        text
    }

    #[test]
    fn another_hash_or_name_gives_nothing() {
        for path in ["/assets/pico.00000000.css", "/assets/pico.css", "/assets/", "/assets/../keys", ""] {
            assert_eq!(asset(path), None, "{path}");
        }
    }

    #[test]
    fn the_vendored_style_sheet_keeps_its_licence_line() {
        let start = File::Pico.source().2.get(..200).unwrap();
        assert!(start.contains("Pico CSS") && start.contains("v2.1.1") && start.contains("Licensed under MIT"));
    }
}
