//! A thread of its own for whatever may wait for a disk: the spool and the state files. The runtime has one thread, and a
//! stalled disk on it would look like an endpoint's latency.

use std::{
    io,
    sync::mpsc::{SyncSender, TrySendError, sync_channel},
    thread,
};

use tokio::sync::oneshot;

/// The way to the thread. The thread ends when the last of these is gone and all work is done.
#[derive(Clone, Debug)]
pub struct Disk {
    jobs: SyncSender<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

/// The disk has been stalled for so long that no more work is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the disk is stalled: too much waits for it")]
pub struct Stalled;

impl Disk {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start() -> io::Result<Self> {
        let (jobs, work) = sync_channel::<Job>(MOST_WAITING);
        thread::Builder::new().name("disk".to_owned()).stack_size(STACK).spawn(move || {
            for job in work {
                job();
            }
        })?;
        Ok(Self { jobs })
    }

    /// Does `work` after everything that was given before. The answer comes when it is done.
    ///
    /// # Errors
    /// [`Stalled`] where so much waits already that this was not taken.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, Stalled> {
        let (answer, result) = oneshot::channel();
        let job = Box::new(move || {
            // Whoever asked may have gone meanwhile; the work is done all the same.
            let _ = answer.send(work());
        });
        match self.jobs.try_send(job) {
            Ok(()) => Ok(result),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Stalled),
        }
    }
}

/// Pieces of work that may wait: some rounds' worth.
const MOST_WAITING: usize = 64;
/// Enough for serde; the default of 2 MB would be counted as address space for nothing.
const STACK: usize = 512 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::{Disk, MOST_WAITING, Stalled};

    #[tokio::test]
    async fn work_is_done_in_order_and_answered() {
        let disk = Disk::start().expect("a thread");
        let first = disk.run(|| 1).expect("room");
        let second = disk.run(|| 2).expect("room");
        assert_eq!((second.await, first.await), (Ok(2), Ok(1)));
    }

    #[test]
    fn a_stalled_disk_takes_no_more_than_fits() {
        let disk = Disk::start().expect("a thread");
        let (release, wait) = channel::<()>();
        let stuck = disk.run(move || wait.recv().is_ok());
        assert!(stuck.is_ok());
        let refused = (0..=2 * MOST_WAITING).map(|n| disk.run(move || n)).filter(Result::is_err).count();
        assert!(refused >= MOST_WAITING, "{refused}");
        assert_eq!(disk.run(|| ()).err(), Some(Stalled));
        release.send(()).expect("the thread waits");
    }
}
