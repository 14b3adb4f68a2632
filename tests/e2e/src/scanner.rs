//! A secret scanner like GitHub's: it signs its alerts, and lists the key that they can be verified with. Like GitHub's, its server refuses whoever
//! does not say what it is.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p256::{
    ecdsa::{Signature, SigningKey, signature::Signer as _},
    pkcs8::{EncodePublicKey as _, LineEnding},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{Answer, World, http};

/// What stands in for GitHub: a key to sign with, and a server that lists its public half.
#[derive(Debug)]
pub struct Scanner {
    key: SigningKey,
    keys_url: String,
}

impl Scanner {
    /// Starts the server, on a free port of this machine.
    pub async fn start() -> Self {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let pem = p256::PublicKey::from(key.verifying_key()).to_public_key_pem(LineEnding::LF).unwrap();
        let body = json!({"public_keys": [{"key_identifier": "one", "key": pem, "is_current": true}]}).to_string();
        let answer = Arc::new(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let keys_url = format!("http://{}/keys", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = Arc::clone(&answer);
                tokio::spawn(async move {
                    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
                    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                        match stream.read(&mut buffer).await {
                            Ok(read @ 1..) => request.extend_from_slice(&buffer[..read]),
                            _ => return,
                        }
                    }
                    let named = String::from_utf8_lossy(&request).to_ascii_lowercase().contains("\r\nuser-agent: keyward\r\n");
                    let answer = if named { answer.as_str() } else { "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n" };
                    drop(stream.write_all(answer.as_bytes()).await);
                });
            }
        });
        Self { key, keys_url }
    }

    /// Where its keys are listed: what `GITHUB_KEYS_URL` is to be.
    pub fn keys_url(&self) -> &str {
        &self.keys_url
    }

    /// The signature of a body, as its header holds it.
    pub fn signature(&self, body: &str) -> String {
        let signature: Signature = self.key.sign(body.as_bytes());
        STANDARD.encode(signature.to_der().as_bytes())
    }

    /// Sends alerts to the control plane with a signature of `signed`.
    pub async fn alert(&self, world: &World, alerts: &Value, signed: &str) -> Answer {
        let request = world.http.post(format!("{}/v1/leaks/github", world.system.control_url()));
        let request = request.header("content-type", "application/json").header("github-public-key-identifier", "one");
        let request = request.header("github-public-key-signature", self.signature(signed));
        http::send(request.body(alerts.to_string())).await
    }
}
