//! The order to stop, and how long that may take.

use std::time::Duration;

use gateway_core::Control;
use tokio::sync::watch;
use tokio::time::Instant;

/// For ever, as far as a timer can express it.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

/// Where a [`Handle`](gateway_core::Handle) leaves its orders, also before the server runs.
#[derive(Debug)]
pub(crate) struct Stop {
    deadline: watch::Sender<Option<Instant>>,
}

impl Default for Stop {
    fn default() -> Stop {
        Stop { deadline: watch::Sender::new(None) }
    }
}

impl Control for Stop {
    fn shutdown(&self, grace: Duration) {
        let at = Instant::now() + grace.min(FAR);
        self.deadline.send_if_modified(|deadline| {
            let sooner = deadline.is_none_or(|deadline| at < deadline);
            if sooner {
                *deadline = Some(at);
            }
            sooner
        });
    }
}

impl Stop {
    /// Waits for the first order.
    pub(crate) async fn ordered(&self) {
        // It fails only without a sender, and that is us.
        let _ = self.deadline.subscribe().wait_for(Option::is_some).await;
    }

    /// Whether there is an order, and time left.
    pub(crate) fn has_grace(&self) -> bool {
        self.deadline.borrow().is_some_and(|deadline| Instant::now() < deadline)
    }

    /// Waits until the grace is over, which a later order may shorten.
    pub(crate) async fn grace_over(&self) {
        let mut orders = self.deadline.subscribe();
        loop {
            let at = orders.borrow_and_update().unwrap_or_else(|| Instant::now() + FAR);
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(at) => return,
                _ = orders.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn an_order_may_come_before_anybody_listens() {
        let stop = Stop::default();
        stop.shutdown(5 * S);
        let start = Instant::now();
        stop.ordered().await;
        assert!(stop.has_grace());
        stop.grace_over().await;
        assert!(!stop.has_grace());
        assert_eq!(start.elapsed(), 5 * S);
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_order_shortens_and_never_lengthens() {
        let stop = Stop::default();
        let start = Instant::now();
        stop.shutdown(Duration::MAX);
        let later = async {
            tokio::time::sleep(S).await;
            stop.shutdown(2 * S);
            stop.shutdown(20 * S);
        };
        tokio::join!(stop.grace_over(), later);
        assert_eq!(start.elapsed(), 3 * S);
    }

    #[tokio::test(start_paused = true)]
    async fn no_grace_at_all() {
        let stop = Stop::default();
        stop.shutdown(Duration::ZERO);
        stop.ordered().await;
        stop.grace_over().await;
    }
}
