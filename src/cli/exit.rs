//! Exit codes: those of Nagios plugins where the code is a verdict, those of sysexits.h elsewhere.

use std::process::ExitCode;

use crate::model::verdict::RoundVerdict;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// The verb did what it was asked.
    Done,
    /// The verdict over the round: 0, 1 or 2.
    Judged(RoundVerdict),
    /// `once` and `status`: no verdict, whatever the reason.
    NotJudged,
    /// Other verbs: the command line is wrong.
    Usage,
    /// Other verbs: the config is wrong.
    BadConfig,
    /// `run`: another instance runs.
    Occupied,
    /// Other verbs: anything else.
    Failed,
    /// Ctrl-C.
    Interrupted,
}

impl Exit {
    /// The number.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Judged(verdict) => verdict.exit_code(),
            Self::NotJudged => 3,
            Self::Usage => 64,
            Self::BadConfig => 78,
            Self::Occupied => 75,
            Self::Failed => 1,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
