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
    /// The style sheet of these pages.
    Style,
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
    const ALL: [Self; 11] = [
        Self::Pico,
        Self::Style,
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
            Self::Style => ("keyward.css", CSS, include_str!("../../assets/keyward.css")),
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

    #[test]
    fn style_sheets_close_what_they_open() {
        let text = File::Style.source().2;
        assert_eq!(text.matches('{').count(), text.matches('}').count());
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
