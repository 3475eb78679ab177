//! One fetch at a time, kept as long as it should be.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

const SCOPE: &str = "https://management.azure.com/.default";
const HOUR: Duration = Duration::from_hours(1);

/// Takes a while for each answer, counts, and answers as it is told.
#[derive(Debug)]
struct Slow {
    takes: Duration,
    lives: Duration,
    asked: AtomicUsize,
    fails: Mutex<Option<SignInError>>,
}

impl Slow {
    fn new(takes: Duration, lives: Duration) -> Arc<Self> {
        Arc::new(Self { takes, lives, asked: AtomicUsize::new(0), fails: Mutex::default() })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn fail(&self, why: Option<SignInError>) {
        *self.fails.lock().unwrap() = why;
    }
}

#[async_trait::async_trait]
impl TokenCredential for Slow {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::time::sleep(self.takes).await;
        if let Some(why) = self.fails.lock().unwrap().clone() {
            return Err(Error::new(ErrorKind::Credential, why));
        }
        let expires_on = OffsetDateTime::now_utc() + self.lives;
        Ok(AccessToken::new(format!("{number} for {}", scopes.join(" ")), expires_on))
    }
}

fn tokens_of(slow: &Arc<Slow>, from: Issuer) -> Tokens {
    let slow: Arc<Slow> = Arc::clone(slow);
    Tokens::new(slow, from)
}

fn refused() -> SignInError {
    SignInError::Refused { from: Issuer::Entra, code: Some(7_000_215), said: "no".into() }
}

fn unavailable() -> SignInError {
    SignInError::Unavailable { from: Issuer::Entra, said: "HTTP 503".into() }
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_share_one_fetch_and_its_token_is_kept() {
    let slow = Slow::new(Duration::from_secs(3), HOUR);
    let tokens = tokens_of(&slow, Issuer::Tools);
    let many = futures::future::join_all((0..8).map(|_| tokens.token(SCOPE))).await;
    assert!(many.iter().all(|token| token.as_ref().is_ok_and(|t| t.token.secret().starts_with("1 for"))));
    tokens.token(SCOPE).await.unwrap();
    assert_eq!(slow.asked(), 1);
    tokens.token("https://vault.azure.net/.default").await.unwrap();
    assert_eq!(slow.asked(), 2, "each scope has its own");
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_its_caller_gave_up_goes_on_with_the_next_one() {
    let slow = Slow::new(Duration::from_secs(10), HOUR);
    let tokens = tokens_of(&slow, Issuer::Tools);
    for _ in 0..2 {
        assert!(tokio::time::timeout(Duration::from_secs(4), tokens.token(SCOPE)).await.is_err());
    }
    tokio::time::timeout(Duration::from_secs(4), tokens.token(SCOPE)).await.unwrap().unwrap();
    assert_eq!(slow.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_was_left_alone_for_too_long_is_begun_again() {
    let slow = Slow::new(Duration::from_secs(10), HOUR);
    let tokens = tokens_of(&slow, Issuer::Tools);
    assert!(tokio::time::timeout(Duration::from_secs(4), tokens.token(SCOPE)).await.is_err());
    tokio::time::advance(Duration::from_mins(15)).await;
    tokens.token(SCOPE).await.unwrap();
    assert_eq!(slow.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_fetched_anew_before_it_expires_and_the_old_one_bridges_a_failure() {
    let slow = Slow::new(Duration::ZERO, HOUR);
    let tokens = tokens_of(&slow, Issuer::Entra);
    let first = tokens.token(SCOPE).await.unwrap();
    tokio::time::advance(Duration::from_mins(54)).await;
    tokens.token(SCOPE).await.unwrap();
    assert_eq!(slow.asked(), 1);
    tokio::time::advance(Duration::from_mins(2)).await;
    slow.fail(Some(refused()));
    let bridged = tokens.token(SCOPE).await.unwrap();
    assert_eq!((bridged.token.secret(), slow.asked()), (first.token.secret(), 2));
    tokio::time::advance(Duration::from_mins(4)).await;
    assert_eq!(tokens.token(SCOPE).await.unwrap_err(), refused(), "it would expire under way");
    slow.fail(None);
    tokio::time::advance(FAILURE_KEPT).await;
    assert!(tokens.token(SCOPE).await.unwrap().token.secret().starts_with("4 for"));
}

#[tokio::test(start_paused = true)]
async fn a_final_refusal_costs_one_request_and_is_forgotten_soon() {
    let slow = Slow::new(Duration::from_millis(100), HOUR);
    slow.fail(Some(refused()));
    let tokens = tokens_of(&slow, Issuer::Entra);
    for _ in 0..3 {
        let both = futures::future::join(tokens.token(SCOPE), tokens.token(SCOPE)).await;
        assert_eq!((both.0.unwrap_err(), both.1.unwrap_err()), (refused(), refused()));
    }
    assert_eq!(slow.asked(), 1);
    slow.fail(None);
    tokio::time::advance(FAILURE_KEPT).await;
    tokens.token(SCOPE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_passes_is_retried_within_the_time_of_one_fetch() {
    // It answers at once: an attempt that began just before the end would be cut off, and tell of that instead.
    let slow = Slow::new(Duration::ZERO, HOUR);
    slow.fail(Some(unavailable()));
    let tokens = tokens_of(&slow, Issuer::Entra);
    let begun = Instant::now();
    assert_eq!(tokens.token(SCOPE).await.unwrap_err(), unavailable());
    assert!(slow.asked() > 1 && begun.elapsed() < Duration::from_secs(5), "{}", slow.asked());
    let hung = Slow::new(HOUR, HOUR);
    let begun = Instant::now();
    let why = tokens_of(&hung, Issuer::Entra).token(SCOPE).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5));
    insta::assert_snapshot!(why, @"no answer from Entra to the sign-in (no answer in time)");
}
