//! Blind creation in a real browser.
#![cfg(target_arch = "wasm32")]

use keyward_browser::{BlindKey, hint_of_key, problem_with_key};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
fn a_key_drawn_here_and_tagged_there_is_a_whole_key() {
    let blind = BlindKey::draw("kw_live", "MDeu").ok().unwrap();
    assert_eq!(blind.digest().len(), 64);
    let key = blind.assemble("HJcGDjP").ok().unwrap();
    assert_eq!(problem_with_key(&key), None);
    assert!(hint_of_key(&key).unwrap().starts_with("kw_live_…"));
}

#[wasm_bindgen_test]
fn a_mistyped_key_is_noticed() {
    assert!(problem_with_key("kw_live_MDeuq7Rm2ZxV0bTgYc9LwN4sKd8HfA1eHJcGDjP1R2TU6").is_some());
    assert!(problem_with_key("").is_some());
}

#[wasm_bindgen_test]
fn what_the_server_could_not_have_said_is_refused() {
    assert!(BlindKey::draw("KW", "MDeu").is_err());
    assert!(BlindKey::draw("kw_live", "MDe-").is_err());
    assert!(BlindKey::draw("kw_live", "MDeu").ok().unwrap().assemble("short").is_err());
}
