//! STUB until the judge's own is merged: what `explain` says of each cause.

use super::cause::Cause;

/// What there is to say of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CauseText {
    /// What it means.
    pub meaning: &'static str,
    /// How it shows.
    pub symptom: &'static str,
    /// How to confirm it, step by step.
    pub confirm: &'static [&'static str],
    /// How to mend it, step by step.
    pub mend: &'static [&'static str],
    /// Who can.
    pub owner: &'static str,
}

impl Cause {
    /// What there is to say of it.
    #[must_use]
    pub const fn text(self) -> CauseText {
        CauseText {
            meaning: "The security group of the endpoint, or a network ACL, drops the packets. A second sentence.",
            symptom: "Connections to the address time out; nothing comes back.",
            confirm: &[
                "Try it by hand: curl -sS -o /dev/null --connect-timeout 4 https://ssm.eu-west-1.amazonaws.com/",
            ],
            mend: &["Allow TCP 443 from the VPC's CIDR in the endpoint's security group."],
            owner: "The owner of the VPC.",
        }
    }
}
