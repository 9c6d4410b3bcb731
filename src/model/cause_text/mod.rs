//! STUB until the judge's own is merged (take the judge's): what `explain` says of each cause.

use std::fmt;

use super::cause::Cause;

/// The text of one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CauseText {
    /// What it means.
    pub meaning: &'static str,
    /// How it shows.
    pub symptom: &'static str,
    /// Commands that confirm it.
    pub confirm: &'static [&'static str],
    /// Steps in the order to take them.
    pub mend: &'static [&'static str],
    /// Who can.
    pub owner: Owner,
}

/// Who can mend something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Whoever owns the endpoint.
    EndpointOwner,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("the endpoint's owner")
    }
}

static STUB: CauseText = CauseText {
    meaning: "No answer to the connection attempts: the packets are dropped without a word.",
    symptom: "Silence is how security groups, NACLs, missing routes and dropping firewalls look.",
    confirm: &[
        "nc -vz -w 4 ADDRESS 443",
        "aws ec2 describe-vpc-endpoints --filters Name=service-name,Values=com.amazonaws.REGION.SERVICE --query 'VpcEndpoints[].[VpcEndpointId,Groups]' --region REGION",
    ],
    mend: &[
        "In the endpoint's security group, allow TCP 443 from this host's subnet.",
        "This host's own firewall may drop it as well: sudo nft list ruleset",
    ],
    owner: Owner::EndpointOwner,
};

impl Cause {
    /// Its text.
    #[must_use]
    pub const fn text(self) -> &'static CauseText {
        &STUB
    }
}
