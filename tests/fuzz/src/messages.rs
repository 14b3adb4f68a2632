//! What the edge, the control Worker and the objects say to each other.

use core::fmt::Debug;

use keyward_control::call::{
    Announced, Announcement, ApiAnswer, ApiCall, AuditNote, Authenticate, Caller, Claimed, Claims, CompanyNotice, Redeem, Redeemed, SignOut,
};
use keyward_shared::{
    json::{self, FromJson},
    messages::{ImportedAnswer, ImportedRequest, ResolveAnswer, ResolveRequest, UsageReport},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::input;

/// The input as each message: what is read is written, read again, and the same. What the edge reads or writes itself,
/// Keyward's reader reads and its writer writes as `serde_json` does.
pub fn messages(data: &[u8]) {
    let Some(text) = input::text(data) else { return };
    if let Some(request) = returns::<ResolveRequest>(text) {
        assert_eq!(request.to_json(), serde_json::to_string(&request).unwrap());
    }
    if let Some(report) = returns::<UsageReport>(text) {
        assert_eq!(report.to_json(), serde_json::to_string(&report).unwrap());
    }
    by_both::<ResolveAnswer>(text);
    if let Some(request) = returns::<ImportedRequest>(text) {
        assert_eq!(request.to_json(), serde_json::to_string(&request).unwrap());
    }
    by_both::<ImportedAnswer>(text);

    returns::<ApiCall>(text);
    returns::<ApiAnswer>(text);
    returns::<Caller>(text);
    returns::<Authenticate>(text);
    returns::<Redeem>(text);
    returns::<Redeemed>(text);
    returns::<SignOut>(text);
    returns::<AuditNote>(text);
    returns::<CompanyNotice>(text);
    returns::<Claims>(text);
    returns::<Claimed>(text);
    returns::<Announcement>(text);
    returns::<Announced>(text);
}

/// What either reader reads, and the other reads from what was written.
fn by_both<T: FromJson + Serialize + DeserializeOwned + PartialEq + Debug>(text: &str) -> Option<T> {
    let (ours, theirs) = (json::from_str::<T>(text).ok(), returns::<T>(text));
    if ours.is_some() {
        assert_eq!(ours, theirs);
    }
    let written = serde_json::to_string(theirs.as_ref()?).unwrap();
    assert_eq!(json::from_str::<T>(&written).ok(), theirs, "{written}");
    theirs
}

fn returns<T: Serialize + DeserializeOwned + PartialEq + Debug>(text: &str) -> Option<T> {
    let value: T = serde_json::from_str(text).ok()?;
    let written = serde_json::to_string(&value).unwrap();
    let again: T = serde_json::from_str(&written).expect("what is written is read");
    assert_eq!(again, value, "{written}");
    assert_eq!(serde_json::to_string(&again).unwrap(), written);
    Some(value)
}
