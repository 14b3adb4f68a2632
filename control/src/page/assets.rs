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

/// The files' addresses, for the templates.
#[derive(Debug)]
pub(super) struct Urls {
    /// The general style sheet.
    pub(super) pico: String,
    /// The style sheet of these pages.
    pub(super) style: String,
    /// The script of the list of keys.
    pub(super) script: String,
}

const CSS: &str = "text/css; charset=utf-8";
const PICO: Asset = Asset { content_type: CSS, body: include_bytes!("../../assets/pico.min.css") };
const STYLE: Asset = Asset { content_type: CSS, body: include_bytes!("../../assets/keyward.css") };
const SCRIPT: Asset = Asset { content_type: "text/javascript; charset=utf-8", body: include_bytes!("../../assets/keyward.mjs") };

static URLS: LazyLock<Urls> = LazyLock::new(|| Urls {
    pico: address("pico", "css", PICO.body),
    style: address("keyward", "css", STYLE.body),
    script: address("keyward", "mjs", SCRIPT.body),
});

/// The addresses of this build's files.
pub(super) fn urls() -> &'static Urls {
    &URLS
}

/// The file at this path of the request; `None` if there is none, or the path names another content.
pub fn asset(path: &str) -> Option<Asset> {
    let urls = urls();
    [(&urls.pico, PICO), (&urls.style, STYLE), (&urls.script, SCRIPT)]
        .into_iter()
        .find_map(|(url, asset)| (url.as_str() == path).then_some(asset))
}

fn address(name: &str, extension: &str, body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let hash: String = hex::encode(digest).chars().take(8).collect();
    format!("/assets/{name}.{hash}.{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_gives_its_file_with_its_type() {
        let urls = urls();
        assert_eq!(asset(&urls.pico), Some(PICO));
        assert_eq!(asset(&urls.style), Some(STYLE));
        assert_eq!(asset(&urls.script), Some(SCRIPT));
        assert!(SCRIPT.content_type.starts_with("text/javascript"));
    }

    #[test]
    fn another_hash_or_name_gives_nothing() {
        for path in ["/assets/pico.00000000.css", "/assets/pico.css", "/assets/", "/assets/../keys", ""] {
            assert_eq!(asset(path), None, "{path}");
        }
    }

    #[test]
    fn the_vendored_style_sheet_keeps_its_licence_line() {
        let start = core::str::from_utf8(&PICO.body[..200]).unwrap();
        assert!(start.contains("Pico CSS") && start.contains("v2.1.1") && start.contains("Licensed under MIT"));
    }
}
