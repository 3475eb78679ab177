//! An answer of the world's that is held back until a test says so.

use super::LIMIT;
use std::sync::Arc;
use tokio::sync::Semaphore;
use world::Call;

/// Holds one answer, at the latest until the limit of a test is over.
pub struct Hold {
    is_reached: Arc<Semaphore>,
    release: std::sync::mpsc::Sender<()>,
    may_go: std::sync::Mutex<Option<std::sync::mpsc::Receiver<()>>>,
}

impl Hold {
    pub fn new() -> Self {
        let (release, may_go) = std::sync::mpsc::channel();
        Self { is_reached: Arc::new(Semaphore::new(0)), release, may_go: Some(may_go).into() }
    }

    /// What the world calls when the request has come. For one request.
    pub fn hook(&self) -> impl FnOnce(&Call) + Send + 'static {
        let may_go = self.may_go.lock().unwrap().take().expect("a hold holds one request");
        let is_reached = Arc::clone(&self.is_reached);
        move |_| {
            is_reached.add_permits(1);
            // An error says that the test is over.
            let _ = may_go.recv_timeout(LIMIT);
        }
    }

    /// Waits until the request has come.
    pub async fn wait(&self) {
        let _ = tokio::time::timeout(LIMIT, self.is_reached.acquire()).await.expect("the request comes");
    }

    pub fn release(&self) {
        self.release.send(()).unwrap();
    }
}
