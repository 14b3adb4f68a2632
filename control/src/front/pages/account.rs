//! `/admin/account`: the reader's own account.

use super::{
    super::{Answer, Outside},
    visit::Visit,
};
use crate::page;

pub(super) fn show<O: Outside>(visit: &Visit<'_, O>) -> Answer {
    Answer::html(200, page::account(&visit.reader, visit.is_behind_access()))
}
