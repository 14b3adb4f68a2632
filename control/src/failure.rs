//! Why a call has no ordinary answer.

use keyward_shared::problem::{Code, Problem};
use thiserror::Error;

use crate::{call::Refused, sql::SqlError};

/// A refusal, which the caller is told, or a failure, which the log is told.
#[derive(Debug, Error)]
pub enum Failure {
    /// The caller may not, or asked for what cannot be.
    #[error("refused: {}", .0.0.detail)]
    Refused(Refused),
    /// The database failed.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// Something stored or made could not be written as JSON.
    #[error("JSON failed: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl Failure {
    /// A refusal with `code`.
    pub fn refused(code: Code, detail: impl Into<String>) -> Self {
        Self::Refused(Refused::new(code, detail))
    }

    /// 404 without telling whether there is one elsewhere.
    pub fn not_found(what: &str) -> Self {
        Self::refused(Code::NotFound, format!("there is no such {what}"))
    }

    /// The problem that the caller is told.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Refused(refused) => refused.0.clone(),
            Self::Sql(_) | Self::Json(_) => Problem::new(Code::Unavailable, "the request could not be processed; try again"),
        }
    }
}
