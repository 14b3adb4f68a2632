//! Reading credentials from real `Headers` objects, as the Fetch standard joins and trims them.
#![cfg(target_arch = "wasm32")]

use keyward_edge::{
    credentials::{Sent, Source, extract},
    headers::CredentialHeaders,
};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::Headers;

wasm_bindgen_test_configure!(run_in_browser);

/// What is extracted from headers appended in this order.
fn sent(headers: &[(&str, &str)]) -> (String, Option<Source>) {
    let real = Headers::new().unwrap();
    for (name, value) in headers {
        real.append(name, value).unwrap();
    }
    let read = CredentialHeaders::read(&real);
    match extract(read.x_api_key.as_deref(), read.authorization.as_deref()) {
        Sent::Nothing => ("nothing".into(), None),
        Sent::Ambiguous => ("ambiguous".into(), None),
        Sent::One(text, source) => (text.into(), Some(source)),
    }
}

#[wasm_bindgen_test]
fn credentials_are_read_as_the_platform_presents_them() {
    use Source::{ApiKey, Bearer};
    for (headers, expected) in [
        (&[][..], ("nothing", None)),
        (&[("X-API-Key", "k")], ("k", Some(ApiKey))),
        (&[("x-api-key", "  k\t")], ("k", Some(ApiKey))),
        (&[("AUTHORIZATION", "bEaReR k ")], ("k", Some(Bearer))),
        (&[("x-api-key", "k"), ("Authorization", "Bearer k")], ("k", Some(ApiKey))),
        (&[("x-api-key", "k"), ("Authorization", "Bearer j")], ("ambiguous", None)),
        (&[("x-api-key", "k"), ("X-Api-Key", "k")], ("ambiguous", None)),
        (&[("Authorization", "Bearer k"), ("Authorization", "Bearer k")], ("ambiguous", None)),
        (&[("Authorization", "Basic a2V5")], ("nothing", None)),
        (&[("Cookie", "x-api-key=k"), ("x-api-key-2", "k")], ("nothing", None)),
    ] {
        let (text, source) = sent(headers);
        assert_eq!((text.as_str(), source), expected, "{headers:?}");
    }
}
