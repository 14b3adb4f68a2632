//! On what a page is looked at: a wide screen, light or dark, or a phone; with or without scripts. And what a look at it costs.

use serde_json::json;

use super::Browser;

/// What a page is looked at on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A wide screen.
    Light,
    /// A wide screen of somebody who wants it dark.
    Dark,
    /// A phone: 360 × 800.
    Phone,
}

impl Look {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Light, Self::Dark, Self::Phone];

    /// Its name in a file's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
            Self::Phone => "phone",
        }
    }

    const fn size(self) -> (u32, u32) {
        match self {
            Self::Light | Self::Dark => (1_280, 900),
            Self::Phone => (360, 800),
        }
    }
}

/// What the last load of a page cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Bytes that came over the network, headers included, WebAssembly not.
    pub transferred: u64,
    /// How far what was shown jumped while it loaded: 0 is not at all.
    pub layout_shift: f64,
    /// Milliseconds until something was seen.
    pub first_paint_ms: f64,
}

impl Browser {
    /// From now on pages are looked at so; one that is open is laid out anew.
    pub async fn look(&self, look: Look) {
        let (width, height) = look.size();
        let is_phone = look == Look::Phone;
        let screen = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone});
        self.devtools("Emulation.setDeviceMetricsOverride", screen).await;
        let scheme = if look == Look::Dark { "dark" } else { "light" };
        self.devtools("Emulation.setEmulatedMedia", json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]})).await;
    }

    /// Whether pages that are opened from now on may run scripts. What a test runs, runs nevertheless.
    pub async fn allow_scripts(&self, allowed: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({"value": !allowed})).await;
    }

    /// Nothing that was loaded before is used again: each page costs what it costs at first.
    pub async fn forget_files(&self) {
        self.devtools("Network.enable", json!({})).await;
        self.devtools("Network.setCacheDisabled", json!({"cacheDisabled": true})).await;
    }

    /// What the last load of the page cost.
    pub async fn cost(&self) -> Cost {
        let script = r"
            const loads = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
            const counted = loads.filter(({name}) => !new URL(name).pathname.endsWith('.wasm'));
            const shift = await new Promise((done) => {
              let sum = 0;
              new PerformanceObserver((list) => list.getEntries().forEach(({value}) => { sum += value; }))
                .observe({type: 'layout-shift', buffered: true});
              setTimeout(() => done(sum), 200);
            });
            const paint = performance.getEntriesByName('first-paint')[0];
            return [counted.reduce((sum, {transferSize}) => sum + transferSize, 0), shift, paint ? paint.startTime : -1];";
        let told = self.run(&format!("return (async () => {{{script}}})()")).await;
        let number = |at: usize| told[at].as_f64().unwrap_or_else(|| panic!("no number: {told}"));
        Cost { transferred: told[0].as_u64().unwrap_or_default(), layout_shift: number(1), first_paint_ms: number(2) }
    }

    /// How much wider the page is than the window, in pixels: 0 where nobody has to scroll sideways.
    pub async fn overflow(&self, look: Look) -> u64 {
        let wide = self.run("return document.documentElement.scrollWidth").await.as_u64().unwrap_or(u64::MAX);
        wide.saturating_sub(look.size().0.into())
    }
}
