//! AWS's names as data: partitions, regions, service codes and the hosts that answer for them, S3 buckets.

pub mod bucket;
