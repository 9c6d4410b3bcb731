//! What the judge says: verdicts, problems, findings.

use std::{fmt, net::IpAddr};

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct as _};

use super::cause::{Cause, Stage};

/// How bad a problem is. Ordered: a failure is greater than a warning, a warning than a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; changes no verdict.
    Note,
    /// Works, but not as it should: the verdict is degraded.
    Warning,
    /// Broken.
    Failure,
}

impl Severity {
    /// The severity's name as in the report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The verdict over one address or one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing was judged: no endpoint here, or the deadline came first.
    Skipped,
    /// Everything that was asked was answered as it should.
    Healthy,
    /// Works, with a warning.
    Degraded,
    /// Broken.
    Failed,
}

impl Verdict {
    /// The verdict's name as in the report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The verdict over a round. Ordered from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoundVerdict {
    /// Every required target is healthy, and no optional one is broken.
    Healthy,
    /// A warning on a required target, or a broken optional one.
    Degraded,
    /// A required target is broken.
    Failed,
}

impl RoundVerdict {
    /// The verdict's name as in the report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }

    /// The exit code of `once` and `status`: 0 healthy, 1 degraded, 2 failed.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Degraded => 1,
            Self::Failed => 2,
        }
    }
}

impl fmt::Display for RoundVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing that is wrong, or worth knowing, about a target, the host or the delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The reason.
    pub cause: Cause,
    /// How bad it is here.
    pub severity: Severity,
    /// The layer at which it shows; `None` for host and shipping problems.
    pub stage: Option<Stage>,
    /// The address that it is about, if it is about one.
    pub address: Option<IpAddr>,
    /// One sentence for a person.
    pub summary: String,
}

/// One conclusion for a person: what is wrong with which targets, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Finding {
    /// The reason.
    pub cause: Cause,
    /// How bad it is.
    pub severity: Severity,
    /// Names of the targets that it explains.
    pub targets: Vec<String>,
    /// One or two sentences: which service, which address, which layer.
    pub summary: String,
    /// Steps in the order to take them; a command stands alone after a colon or as the whole step.
    pub advice: Vec<String>,
}

/// Its fields, and `doc`: where the documents tell of the cause. That follows from the cause, and so is written and never
/// read.
impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Finding", 6)?;
        fields.serialize_field("cause", &self.cause)?;
        fields.serialize_field("severity", &self.severity)?;
        fields.serialize_field("targets", &self.targets)?;
        fields.serialize_field("summary", &self.summary)?;
        fields.serialize_field("advice", &self.advice)?;
        fields.serialize_field("doc", &self.cause.place())?;
        fields.end()
    }
}
