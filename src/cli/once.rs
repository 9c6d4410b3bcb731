//! `vpce-probe once`: one round, now.

use std::{io, os::unix::net::UnixStream};

use tokio::{
    runtime::{self, Runtime},
    time::Instant,
};

use super::{
    args::OnceArgs,
    exit::Exit,
    log::{self, Level},
    progress::Line,
    publish, report, screen,
    settings::{self, BadConfig},
};
use crate::{
    config::Config,
    model::units::Timestamp,
    plan::{self, Choice, PlanError},
    probe::Prober,
    round::{self, Finished},
    sys,
};

pub(super) fn run(args: &OnceArgs) -> Exit {
    log::start(level(args));
    sys::raise_descriptor_limit();
    let settings = match settings::read(&args.config) {
        Ok(settings) => settings,
        Err(BadConfig { reason }) => return report::none(&reason, &args.output),
    };
    let clock = round::Clock { start: Instant::now(), started: Timestamp::now() };
    let runtime = match start_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}"), args),
    };
    // First, while every descriptor is still free: with none left the trust store would look unreadable.
    let prober = match Prober::new(&plan::tls(&settings.config)) {
        Ok(prober) => prober,
        Err(error) => return fail(&screen::chain(&error), args),
    };
    let ended = runtime.block_on(Box::pin(interruptible(args, &settings.config, &prober, clock)));
    // Tasks that still hold a socket need not be waited for.
    runtime.shutdown_background();
    match ended {
        None => Exit::Interrupted,
        Some(Ok(Finished { round, warnings, .. })) => {
            if !args.output.quiet {
                screen::warn(&warnings);
            }
            report::show(&round, &args.output)
        }
        Some(Err(error)) => fail(&screen::chain(&error), args),
    }
}

/// The runtime, or why there is none.
pub(super) fn start_runtime() -> io::Result<Runtime> {
    // tokio's signal driver panics where it cannot open its sockets: see first that there is room for them and for the
    // poller. The pairs are closed again at once.
    let room: io::Result<Vec<_>> = (0..4).map(|_| UnixStream::pair()).collect();
    drop(room?);
    runtime::Builder::new_current_thread().enable_all().build()
}

/// The round; `None` after Ctrl-C.
async fn interruptible(
    args: &OnceArgs,
    config: &Config,
    prober: &Prober,
    clock: round::Clock,
) -> Option<Result<Finished, PlanError>> {
    let choice = Choice {
        services: args.services.clone(),
        family: args.family(),
        round_deadline: args.timeout,
        ..Choice::default()
    };
    let query = settings::query(config, args.region.as_deref());
    let line = Line::new(round::deadline(config, &choice));
    let note = |progress| line.note(progress);
    let drawn = async { if args.output.quiet { std::future::pending().await } else { line.draw().await } };
    let made = async {
        let mut finished = round::run(config, &choice, prober, &query, clock, &note).await?;
        if args.publish {
            finished.round.shipping = publish::publish(config, prober, &finished).await;
        }
        Ok(finished)
    };
    tokio::select! {
        ended = made => Some(ended),
        // Without a handler Ctrl-C ends the program as it always does.
        Ok(()) = tokio::signal::ctrl_c() => None,
        never = drawn => match never {},
    }
}

fn fail(reason: &str, args: &OnceArgs) -> Exit {
    screen::say(reason);
    report::none(reason, &args.output)
}

const fn level(args: &OnceArgs) -> Level {
    match (args.output.quiet, args.verbose) {
        (true, _) => Level::Quiet,
        (false, true) => Level::Verbose,
        (false, false) => Level::Usual,
    }
}
