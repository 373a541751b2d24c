//! A fixed number of sessions of one model, lent to whoever has a batch to run.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use agentdb_types::Result;

/// Sessions of one model. A session runs one batch at a time; whoever finds none free waits for one.
#[derive(Debug)]
pub(crate) struct Sessions<S> {
    sessions: Vec<Mutex<S>>,
    queue: Mutex<Queue>,
    moved: Condvar,
}

/// Who gets the next free session: those who wait, in the order in which they came.
#[derive(Debug)]
struct Queue {
    /// Places in `sessions` that nobody uses.
    free: Vec<usize>,
    /// The number that the next to come draws.
    next: u64,
    /// The number whose turn it is.
    turn: u64,
}

impl<S: Send> Sessions<S> {
    /// A pool of `count` sessions, each opened by `open`.
    pub(crate) fn open(count: NonZeroUsize, mut open: impl FnMut() -> Result<S>) -> Result<Self> {
        let sessions = (0..count.get()).map(|_| open().map(Mutex::new)).collect::<Result<Vec<_>>>()?;
        let queue = Queue { free: (0..sessions.len()).collect(), next: 0, turn: 0 };
        Ok(Sessions { sessions, queue: Mutex::new(queue), moved: Condvar::new() })
    }

    /// Runs `work` on every batch, on as many threads as there are sessions, and hands what it made of each batch
    /// to `done`, on this thread, in the order in which they are finished.
    ///
    /// A session is lent for one batch, first come, first served: a short query waits for one batch of a long job,
    /// not for the job.
    pub(crate) fn run_each<B: Sync, V: Send>(
        &self,
        batches: &[B],
        work: impl Fn(&mut S, &B) -> Result<V> + Sync,
        mut done: impl FnMut(&B, V),
    ) -> Result<()> {
        let next = AtomicUsize::new(0);
        let run_next = || {
            let batch = batches.get(next.fetch_add(1, Ordering::Relaxed))?;
            Some(work(&mut self.lend().session(), batch).map(|value| (batch, value)))
        };
        let mut accept = |result: Result<(&B, V)>| result.map(|(batch, value)| done(batch, value));

        thread::scope(|scope| {
            let (finished, results) = mpsc::channel();
            let workers = self.sessions.len().min(batches.len());
            for _ in 1..workers.max(1) {
                let (finished, run_next) = (finished.clone(), &run_next);
                let worker = move || {
                    while let Some(result) = run_next() {
                        // Nobody listens once a batch has failed.
                        if finished.send(result).is_err() {
                            break;
                        }
                    }
                };
                // A thread that the system refuses is done without.
                if thread::Builder::new().name("agentdb-encode".into()).spawn_scoped(scope, worker).is_err() {
                    break;
                }
            }
            drop(finished);
            // This thread works too, and takes over the others' results in between.
            while let Some(result) = run_next() {
                accept(result)?;
                results.try_iter().try_for_each(&mut accept)?;
            }
            results.iter().try_for_each(accept)
        })
    }

    /// Waits for a free session. Its place in `sessions` is the borrower's alone until the loan is dropped.
    fn lend(&self) -> Loan<'_, S> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let number = queue.next;
        queue.next += 1;
        loop {
            if queue.turn == number
                && let Some(place) = queue.free.pop()
            {
                queue.turn += 1;
                self.moved.notify_all();
                return Loan { pool: self, place };
            }
            queue = self.moved.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A session that is free again when this is dropped, after a panic too.
struct Loan<'a, S> {
    pool: &'a Sessions<S>,
    place: usize,
}

impl<S> Loan<'_, S> {
    fn session(&self) -> MutexGuard<'_, S> {
        self.pool.sessions[self.place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Drop for Loan<'_, S> {
    fn drop(&mut self) {
        self.pool.queue.lock().unwrap_or_else(PoisonError::into_inner).free.push(self.place);
        self.pool.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use agentdb_types::{Code, Error};

    use super::*;

    fn sessions(count: usize) -> Sessions<usize> {
        Sessions::open(NonZeroUsize::new(count).unwrap(), || Ok(0)).unwrap()
    }

    fn squares(sessions: &Sessions<usize>) -> Vec<usize> {
        let mut squares = vec![0; 100];
        let batches: Vec<usize> = (0..100).collect();
        let work = |runs: &mut usize, i: &usize| {
            *runs += 1;
            Ok(i * i)
        };
        sessions.run_each(&batches, work, |&i, square| squares[i] += square).unwrap();
        squares
    }

    #[test]
    fn every_batch_is_run_once() {
        let expected: Vec<usize> = (0..100).map(|i| i * i).collect();
        for count in [1, 2, 7, 200] {
            let sessions = sessions(count);
            assert_eq!(squares(&sessions), expected);
            assert_eq!(sessions.sessions.iter().map(|runs| *runs.lock().unwrap()).sum::<usize>(), 100);
        }
    }

    #[test]
    fn a_failed_batch_ends_the_job_and_the_sessions_stay_usable() {
        for count in [1, 3] {
            let sessions = sessions(count);
            let batches: Vec<usize> = (0..100_000).collect();
            let fail = |runs: &mut usize, i: &usize| {
                *runs += 1;
                if *i == 5 { Err(Error::new(Code::EncoderFailed)) } else { Ok(()) }
            };
            assert_eq!(
                sessions.run_each(&batches, fail, |_, ()| {}).unwrap_err().code(),
                Code::EncoderFailed
            );
            assert!(sessions.sessions.iter().map(|runs| *runs.lock().unwrap()).sum::<usize>() < 100_000);
            squares(&sessions);
        }
    }

    #[test]
    fn a_panic_gives_its_session_back() {
        let sessions = sessions(1);
        let job = || sessions.run_each(&[()], |_, ()| -> Result<()> { panic!("on purpose") }, |_, ()| {});
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err());
        squares(&sessions);
    }

    #[test]
    fn sessions_are_lent_in_the_order_of_asking() {
        let sessions = sessions(1);
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            let loan = sessions.lend();
            for i in 0..5 {
                let (sessions, order) = (&sessions, &order);
                scope.spawn(move || {
                    let _loan = sessions.lend();
                    order.lock().unwrap().push(i);
                });
                // The i-th is in the queue once it has drawn its number (the first was drawn above).
                while sessions.queue.lock().unwrap().next < i + 2 {
                    thread::yield_now();
                }
            }
            drop(loan);
        });
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    }
}
