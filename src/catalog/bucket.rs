//! S3 buckets that AWS Systems Manager needs.

/// The buckets of `region` that an S3 endpoint policy must let instances read.
#[must_use]
pub fn buckets(region: &str) -> Vec<String> {
    vec![
        format!("amazon-ssm-{region}"),
        format!("aws-ssm-{region}"),
        format!("aws-ssm-document-attachments-{region}"),
        format!("patch-baseline-snapshot-{region}"),
    ]
}
