//! Tells the entry that the instance is lost: a panic ends in a trap, and in a task that Rust resumes by itself nobody would notice it.
//! `shared/js/recover.mjs` watches the flag.

use js_sys::{Object, Reflect, global};
use wasm_bindgen::prelude::*;

/// Where the flag stands, as the `worker` crate names it: both Workers are watched alike.
const STATE: &str = "__worker_init_state";
const FLAG: &str = "criticalError";

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn error(text: &str);
}

/// Runs when an instance starts, the first and every later one.
#[wasm_bindgen(start)]
fn start() {
    let flag = Reflect::get(&global(), &STATE.into()).unwrap_or_default();
    if flag.is_undefined() {
        // Nothing can be done where the global object refuses a property; traps are then seen as uncaught errors only.
        let _ = Reflect::set(&global(), &STATE.into(), &Object::new());
    }
    std::panic::set_hook(Box::new(|panic| {
        error(&panic.to_string());
        if let Ok(state) = Reflect::get(&global(), &STATE.into()) {
            let _ = Reflect::set(&state, &FLAG.into(), &JsValue::TRUE); // as above
        }
    }));
}
