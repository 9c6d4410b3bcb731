//! Many rounds of the daemon's parts in a short time: nothing may grow.
//!
//! `soak ROUNDS` hands recorded rounds, healthy ones and failing ones, to the daemon's own history, delivery, spool and
//! state file, as fast as the disk takes them. A CloudWatch of another process takes what comes, and refuses some of it.
//! Memory, descriptors and spool are told on the way; the exit code is 1 where one of them grew, or where the books do not
//! close.

#![expect(clippy::print_stdout, reason = "the numbers are what it is for")]

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};
use vpce_probe::{
    deliver::{Credentials, Delivery, Settings, Surroundings},
    disk::Disk,
    history::History,
    metric,
    model::{
        plan::{DnsPlan, Family, TlsPlan},
        round::Round,
        units::Timestamp,
    },
    probe::Prober,
    sink::state,
};

type Failure = Box<dyn Error + Send + Sync>;

/// What must not grow.
#[derive(Clone, Copy, Debug)]
struct Footprint {
    resident_kb: u64,
    descriptors: usize,
    spool: u64,
}

fn main() -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match env::args().nth(1).ok_or("usage: soak ROUNDS")?.as_str() {
        "--cloudwatch" => runtime.block_on(cloudwatch()).map(|()| ExitCode::SUCCESS),
        rounds => {
            let (child, endpoint) = start_cloudwatch()?;
            let ended = runtime.block_on(soak(rounds.parse()?, endpoint));
            end(child)?;
            ended
        }
    }
}

async fn soak(rounds: u64, endpoint: String) -> Result<ExitCode, Failure> {
    let folder = env::temp_dir().join(format!("vpce-soak-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let spool = folder.join("spool");
    let disk = Disk::start()?;
    let tls = TlsPlan {
        post_quantum: true,
        extra_ca_file: None,
        expiry_warning: Duration::ZERO,
        expected_issuers: Vec::new(),
    };
    let settings = settings(endpoint, &spool);
    let delivery = Delivery::start(settings, Prober::new(&tls)?.dialer(), disk.clone(), surroundings());
    let recorded = [recorded("healthy")?, recorded("dead-eni")?, recorded("resolver-down")?];
    let (mut history, mut tail) = (History::new(2), metric::Tail::default());
    let begun = Instant::now();
    let mut seen = Vec::new();
    for number in 1..=rounds {
        // Mostly healthy; twenty rounds of one fault, twenty of the other.
        let which = match number % 1_000 {
            500..520 => 1,
            900..920 => 2,
            _ => 0,
        };
        let mut round = recorded.get(which).ok_or("no such round")?.clone();
        round.started_at = Timestamp::now();
        history.observe(&mut round);
        let condition = tail.follow(round.verdict, round.started_at);
        delivery.submit(metric::sample(&round, round.started_at, condition, delivery.counters()));
        round.shipping = Some(delivery.shipping());
        let file = folder.join("last.json");
        // One round after the other: what is timed is the work, not how much of it can wait.
        disk.run(move || state::write(&file, &round))?.await??;
        // Backfill has a pace of its own, by the clock; a real host's next round is a minute away.
        while delivery.totals().waiting.rounds > MOST_WAITING {
            sleep(Duration::from_millis(5)).await;
        }
        if SAMPLED.contains(&number) || number == rounds {
            let footprint = Footprint::take(&spool)?;
            let waiting = delivery.totals().waiting.rounds;
            println!("{number:>6} rounds, {:>4} s: {footprint:?}, {waiting} wait", begun.elapsed().as_secs());
            seen.push(footprint);
        }
    }
    let ends = Instant::now() + LONGEST_END;
    while delivery.totals().waiting.rounds > 0 && Instant::now() < ends {
        sleep(Duration::from_millis(100)).await;
    }
    let totals = delivery.totals();
    // The notes of what was delivered are written by the disk's thread, behind everything else that it was given.
    disk.run(|| ())?.await?;
    let drained = Footprint::take(&spool)?;
    println!("all delivered: {drained:?}");
    println!("books: {totals:?}");
    let all = totals.delivered.datums + totals.waiting.datums + totals.lost.datums;
    let closed = totals.produced.rounds == rounds && totals.produced.datums == all && totals.lost.datums == 0;
    delivery.stop(Instant::now() + Duration::from_secs(3)).await;
    fs::remove_dir_all(&folder)?;
    // The first samples are those of a spool whose first segment is not full yet: it is deleted as a whole.
    let grown = seen.get(1).zip(seen.last()).is_some_and(|(settled, last)| last.has_outgrown(settled))
        || drained.spool > MOST_LEFT;
    if grown || !closed {
        println!("FAILED: {}", if grown { "something grew" } else { "the books do not close" });
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

impl Footprint {
    fn take(spool: &Path) -> Result<Self, Failure> {
        let status = fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let mut size = 0;
        for entry in fs::read_dir(spool)? {
            size += entry?.metadata()?.len();
        }
        Ok(Self {
            resident_kb: line.split_whitespace().next().ok_or("no number")?.parse()?,
            descriptors: fs::read_dir("/proc/self/fd")?.count(),
            spool: size,
        })
    }

    /// A request or two may be under way, and the spool's last segment not yet be done.
    const fn has_outgrown(&self, settled: &Self) -> bool {
        self.resident_kb > settled.resident_kb + 1_024
            || self.descriptors > settled.descriptors + 4
            || self.spool > SPOOL / 2
    }
}

fn recorded(name: &str) -> Result<Round, Failure> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rounds").join(format!("{name}.json"));
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn settings(endpoint: String, spool: &Path) -> Settings {
    let keys = [("AWS_ACCESS_KEY_ID", "AKIDSOAK"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    Settings {
        metrics: metric::Settings {
            namespace: "VpceProbe".to_owned(),
            detail: metric::Detail::Fleet,
            fixed_dimensions: Vec::new(),
            extra_dimension_sets: Vec::new(),
            interval: Duration::from_millis(5),
            flush_interval: Duration::from_millis(25),
        },
        endpoint_url: Some(endpoint),
        fips: false,
        dual_stack: false,
        credentials: Credentials::Environment,
        environment: keys
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect::<BTreeMap<_, _>>(),
        spool: Some(spool.to_owned()),
        spool_max_size: SPOOL,
        host: "i-0123456789abcdef0".to_owned(),
    }
}

fn surroundings() -> Surroundings {
    Surroundings {
        region: Some("eu-west-1".to_owned()),
        dns: DnsPlan { servers: Vec::new(), vpc: None, attempts: 1, hosts_file: true },
        family: Family::V4,
        clock_error_s: None,
        ways: Vec::new(),
    }
}

/// Another process, so that its memory is not counted.
fn start_cloudwatch() -> Result<(Child, String), Failure> {
    let mut child = Command::new(env::current_exe()?).arg("--cloudwatch").stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    Ok((child, format!("http://{}", line.trim())))
}

fn end(mut child: Child) -> Result<(), Failure> {
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// Takes what comes; of fifty requests it refuses five, one after the other.
async fn cloudwatch() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    for number in 0_u64.. {
        let (stream, _) = listener.accept().await?;
        let refused = (20..25).contains(&(number % 50));
        tokio::spawn(answer(stream, if refused { REFUSED } else { TAKEN }));
    }
    Ok(())
}

async fn answer(mut stream: TcpStream, status: &'static str) -> Result<(), Failure> {
    let mut request = Vec::new();
    while !is_whole(&request) {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let head = format!("HTTP/1.1 {status}\r\nsmithy-protocol: rpc-v2-cbor\r\ncontent-type: application/cbor\r\n");
    stream.write_all(format!("{head}content-length: 2\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    // An empty map.
    stream.write_all(&[0xbf, 0xff]).await?;
    Ok(())
}

fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let (head, body) = request.split_at(end + 4);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

/// An outage's worth.
const MOST_WAITING: u64 = 500;
const SAMPLED: [u64; 7] = [1_000, 10_000, 15_000, 20_000, 30_000, 40_000, 50_000];
/// What is left of a spool in which nothing waits, in bytes: one segment that is too short to be deleted, and the ledger
/// (docs/spool.md).
const MOST_LEFT: u64 = 80_000;
/// The default.
const SPOOL: u64 = 16_000_000;

const TAKEN: &str = "200 OK";
const REFUSED: &str = "500 Internal Server Error";

/// What waits in the end goes out within this.
const LONGEST_END: Duration = Duration::from_mins(2);
