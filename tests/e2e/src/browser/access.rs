//! Whether everybody can use a page: what axe-core finds against WCAG 2.2 A and AA, and the way through it with the Tab key.

use std::{collections::BTreeSet, fs, sync::LazyLock};

use reqwest::Method;
use serde_json::{Value, json};

use super::{Browser, ELEMENT};
use crate::build;

/// axe-core as npm installs it. The page's policy lets no foreign script in: the driver runs it.
static AXE: LazyLock<String> = LazyLock::new(|| {
    let file = build::repository().join("node_modules/axe-core/axe.min.js");
    fs::read_to_string(file).unwrap_or_else(|error| panic!("axe-core is not installed: run `npm ci --ignore-scripts` ({error})"))
});

/// The Tab key.
const TAB: &str = "\u{e004}";

/// The way through a page with the Tab key.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// What is come by, in this order, as it is called to those who listen: role and name.
    pub stops: Vec<(String, String)>,
    /// Controls that are never come by, as they stand in the document.
    pub missed: Vec<String>,
}

impl Browser {
    /// What is wrong with the page as it is now, by axe-core's rules for WCAG 2.2 A and AA: a line for each element.
    pub async fn violations(&self) -> Vec<String> {
        self.run(&AXE).await;
        let script =
            "return axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], resultTypes: ['violations']})
            .then(({violations, passes}) => [passes.length, violations.flatMap(({id, nodes}) =>
              nodes.map(({html, failureSummary}) => `${id}: ${html}\n${failureSummary}`))])";
        let told = self.run(script).await;
        assert!(told[0].as_u64().is_some_and(|passes| passes > 5), "axe-core has not looked: {told}");
        told[1].as_array().into_iter().flatten().map(|line| line.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Presses Tab from the top of a page that was just opened until all of it was come by.
    pub async fn way_by_keyboard(&self) -> Way {
        // Of radio buttons that belong together Tab comes by one.
        let script = r"
            const all = document.querySelectorAll('a[href],button,input,select,textarea,summary,[tabindex]');
            const radios = new Set();
            window.controls = [...all].filter((control) => {
              if (control.tabIndex < 0 || control.disabled || control.type === 'hidden') return false;
              if (!control.checkVisibility({visibilityProperty: true})) return false;
              if (control.type !== 'radio') return true;
              const group = control.form?.elements[control.name];
              const one = [...(group instanceof RadioNodeList ? group : [control])];
              const stop = one.find(({checked}) => checked) ?? one[0];
              return stop === control && !radios.has(control.name) && radios.add(control.name);
            });
            return window.controls.length";
        let count = self.run(script).await.as_u64().unwrap_or_default();
        let (mut way, mut last, mut met) = (Way::default(), None, BTreeSet::new());
        // A field for a date is several stops.
        for _ in 0..10 * (count + 2) {
            let press =
                json!({"type": "key", "id": "keyboard", "actions": [{"type": "keyDown", "value": TAB}, {"type": "keyUp", "value": TAB}]});
            self.must("/actions", json!({"actions": [press]})).await;
            let here = self.run("return [window.controls.indexOf(document.activeElement), document.activeElement === document.body]").await;
            let (index, is_end) = (here[0].as_i64().unwrap_or(-1), here[1] == true);
            if is_end || last != Some(index) && met.contains(&index) {
                break;
            }
            if last == Some(index) || index < 0 {
                continue; // within a field, or a part that can be scrolled
            }
            last = Some(index);
            met.insert(index);
            way.stops.push(self.called().await);
        }
        let missed =
            format!("const met = {}; return window.controls.filter((_, at) => !met.includes(at)).map((c) => c.outerHTML)", json!(met));
        way.missed =
            self.run(&missed).await.as_array().into_iter().flatten().map(|html| html.as_str().unwrap_or_default().to_owned()).collect();
        way
    }

    /// Role and name of what has the focus.
    async fn called(&self) -> (String, String) {
        let active = self.ask(Method::GET, "/element/active", &Value::Null).await.unwrap_or_default();
        let Some(element) = active[ELEMENT].as_str() else { return Default::default() };
        let mut told = Vec::new();
        for what in ["computedrole", "computedlabel"] {
            let answer = self.ask(Method::GET, &format!("/element/{element}/{what}"), &Value::Null).await.unwrap_or_default();
            told.push(answer.as_str().unwrap_or_default().to_owned());
        }
        (told.swap_remove(0), told.swap_remove(0))
    }
}
