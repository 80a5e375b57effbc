//! A server on 127.0.0.2: it answers HTTP with what it saw, and echoes whatever else comes.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub struct Backend {
    pub address: SocketAddr,
    /// Connections accepted.
    pub connections: Cell<usize>,
    /// Whole requests as they came, head and body.
    pub requests: RefCell<Vec<String>>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
}

impl Backend {
    pub async fn start() -> Rc<Self> {
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let backend = Rc::new(Self {
            address: listener.local_addr().unwrap(),
            connections: Cell::default(),
            requests: RefCell::default(),
            tasks: RefCell::default(),
        });
        let serving = Rc::clone(&backend);
        tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serving.connections.set(serving.connections.get() + 1);
                let task = tokio::task::spawn_local(Rc::clone(&serving).serve(stream));
                serving.tasks.borrow_mut().push(task);
            }
        });
        backend
    }

    /// Closes every connection.
    pub fn forget(&self) {
        self.tasks.borrow_mut().drain(..).for_each(|task| task.abort());
    }

    pub fn last(&self) -> String {
        self.requests.borrow().last().cloned().unwrap_or_default()
    }

    async fn serve(self: Rc<Self>, mut stream: TcpStream) {
        let mut bytes = Vec::new();
        while let Ok(1..) = stream.read_buf(&mut bytes).await {
            if !bytes.ends_with(b"\r\n\r\n") && !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
                if !bytes.starts_with(b"GET /") && !bytes.starts_with(b"POST /") && !bytes.starts_with(b"HEAD /") {
                    stream.write_all(&std::mem::take(&mut bytes)).await.unwrap(); // not HTTP: an echo
                }
                continue;
            }
            let text = String::from_utf8(bytes.clone()).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let lower = head.to_ascii_lowercase();
            let whole = if lower.contains("transfer-encoding: chunked") {
                body.ends_with("0\r\n\r\n")
            } else {
                let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                body.len() >= length.unwrap_or(0)
            };
            if !whole {
                continue;
            }
            self.requests.borrow_mut().push(text.clone());
            bytes.clear();
            let path = head.split(' ').nth(1).unwrap().to_owned();
            if !answer(&mut stream, &path, &text).await {
                return;
            }
        }
    }
}

/// Whether the connection goes on.
async fn answer(stream: &mut TcpStream, path: &str, saw: &str) -> bool {
    let extra = match path {
        "/close" => return false,
        "/garbage" => {
            stream.write_all(b"this is no HTTP\r\n\r\n").await.unwrap();
            return false;
        }
        "/switch" => {
            stream
                .write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
                .await
                .unwrap();
            return true;
        }
        "/hop" => {
            "Connection: keep-alive, X-Hop\r\nX-Hop: secret\r\nProxy-Authenticate: Basic realm=\"evil\"\r\nKeep-Alive: timeout=5\r\n\
             WWW-Authenticate: NTLM\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: Basic realm=\"origin\"\r\n"
        }
        _ => "",
    };
    let length = saw.len();
    let response = format!("HTTP/1.1 200 OK\r\nX-Backend: yes\r\nContent-Length: {length}\r\n{extra}\r\n{saw}");
    stream.write_all(response.as_bytes()).await.is_ok()
}
