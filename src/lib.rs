//! vpce-probe: which AWS VPC endpoint is broken, at which layer, and what to do about it.
//!
//! `cli` yields a command. `config` turns TOML into a [`config::Config`] or into every mistake at once, each with its
//! position. `host` reads [`model::host::HostFacts`]: IMDSv2, links, name servers, the SSM agent. `plan` joins both into
//! a [`model::plan::Plan`]: targets, budgets, expectations. `probe` carries out one round: for each target *resolve*,
//! then for each address *connect → tls → http*, each stage timed, bounded and recorded by one helper; the result is one
//! [`model::observation::Observation`] for each target. `judge` (pure) turns observations into verdicts with a named
//! [`model::cause::Cause`] and advice: first for each address, then for each target, then across targets. `round` runs
//! that path once; `render` shows the [`model::round::Round`] it gives.
//!
//! The modules stand in layer order: each names only what stands above it (`tests/layers.rs` keeps that).

pub mod model;
pub mod tell;

pub mod catalog;

pub mod classify;
pub mod disk;
pub mod history;
pub mod judge;
pub mod metric;
pub mod schedule;
pub mod sys;

pub mod alarms;

pub mod config;
pub mod host;
pub mod render;
pub mod sink;

pub mod plan;

pub mod probe;

pub mod deliver;

pub mod round;

pub mod daemon;

pub mod cli;
