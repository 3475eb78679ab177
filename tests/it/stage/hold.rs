//! A request to the world that is held until the test releases it.

use super::LIMIT;
use std::sync::Arc;
use tokio::sync::Semaphore;
use world::Call;

/// Holds one request, or its answer, until it is released or the limit of a test has passed.
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

    /// The hook for the world. It can be taken once.
    pub fn hook(&self) -> impl FnOnce(&Call) + Send + 'static {
        let may_go = self.may_go.lock().unwrap().take().expect("the hook is taken once");
        let is_reached = Arc::clone(&self.is_reached);
        move |_| {
            is_reached.add_permits(1);
            // An error means that the test has ended.
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
