//! `vpce-probe once --publish`: the round's metrics, at once and without a spool.

use std::time::Duration;

use tokio::time::Instant;

use super::{screen, settings};
use crate::{
    config::Config,
    daemon,
    deliver::{self, Receipt},
    metric::{self, Counters, Tail},
    model::round::Shipping,
    probe::Prober,
    round::Finished,
};

/// Ships the round, and says on stderr what became of that; the report says it as well.
pub(super) async fn publish(config: &Config, prober: &Prober, finished: &Finished) -> Option<Shipping> {
    if !config.cloudwatch.enabled {
        screen::say("nothing is published: cloudwatch.enabled is false in the config");
        return None;
    }
    let Finished { round, plan, .. } = finished;
    let environment = settings::environment();
    let host = round.host.instance_id.clone().unwrap_or_default();
    let mut settings = daemon::delivery_settings(config, &environment, &host);
    settings.spool = None;
    let surroundings = daemon::surroundings(round, plan, daemon::clock_error(round));
    let condition = Tail::default().follow(round.verdict, round.started_at);
    let sample = metric::sample(round, round.started_at, condition, Counters::default());
    let by = Instant::now() + PATIENCE;
    let ended = deliver::publish_once(&settings, prober.dialer(), surroundings, &sample, by).await;
    Some(match ended {
        Ok(Receipt { datums, requests, bytes: (sent, _) }) => {
            let into = &config.cloudwatch.namespace;
            screen::say(&format!("published {datums} datums into {into}: {requests} requests, {sent} bytes"));
            Shipping { state: "ok".to_owned(), last_ok: Some(round.started_at), ..Shipping::default() }
        }
        Err(problem) => {
            screen::say(&format!("not published: {} ({})", problem.summary, problem.cause));
            Shipping { state: "failing".to_owned(), problems: vec![problem], ..Shipping::default() }
        }
    })
}

/// How long somebody who waits for it waits for CloudWatch.
const PATIENCE: Duration = Duration::from_secs(15);
