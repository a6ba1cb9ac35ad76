//! A real browser without a window, driven over WebDriver.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::PATIENCE;
use super::http::ask;
use super::tool::{CHROMEDRIVER, CHROMIUM, tool};

/// Chromium under ChromeDriver, ended with the test.
pub struct Browser {
    driver: Child,
    addr: SocketAddr,
    session: String,
    profile: PathBuf,
}

impl Browser {
    /// A new browser with an empty profile.
    pub fn start(name: &str) -> Browser {
        tool(CHROMIUM);
        let mut driver = tool(CHROMEDRIVER)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver");
        let output = driver.stdout.take().expect("its output");
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port_in(output)));
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("profile-{name}"));
        let _ = fs::remove_dir_all(&profile);
        let mut browser = Browser { driver, addr, session: String::new(), profile };
        let args = [
            "--headless",
            "--hide-scrollbars",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--user-data-dir={}", browser.profile.display()),
        ];
        let chrome = json!({ "args": args });
        let wanted =
            json!({ "goog:chromeOptions": chrome, "goog:loggingPrefs": { "browser": "ALL" } });
        let session =
            browser.call("/session", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session = format!("/session/{}", session["sessionId"].as_str().expect("a session"));
        browser
    }

    pub fn open(&self, url: &str) {
        self.on_page("/url", &json!({ "url": url }));
    }

    /// What a script returns.
    #[track_caller]
    pub fn eval(&self, script: &str) -> Value {
        self.on_page("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Evaluates a script until it returns something true, and returns that.
    #[track_caller]
    pub fn wait_for(&self, script: &str) -> Value {
        let start = Instant::now();
        loop {
            let value = self.eval(script);
            if !matches!(value, Value::Null | Value::Bool(false)) {
                return value;
            }
            assert!(start.elapsed() < PATIENCE, "never true: {script}\n{}", self.text());
        }
    }

    /// Clicks as a person does: where the element is, if nothing covers it.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.on_page(&format!("/element/{element}/click"), &json!({}));
    }

    #[track_caller]
    pub fn type_into(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.on_page(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// The size of the window's inside, and whether the user prefers dark.
    pub fn look(&self, width: u32, height: u32, dark: bool) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
        let scheme = if dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": [feature] }));
    }

    /// Takes a picture of the whole page, and says where it is.
    pub fn picture(&self, name: &str) {
        let picture =
            self.devtools("Page.captureScreenshot", &json!({ "captureBeyondViewport": true }));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
        let encoded = picture["data"].as_str().expect("a picture");
        fs::write(&path, STANDARD.decode(encoded).expect("a picture")).expect("written");
        println!("picture: {}", path.display());
    }

    /// What the page wrote to the console as an error.
    pub fn errors(&self) -> Vec<String> {
        let entries = self.on_page("/se/log", &json!({ "type": "browser" }));
        let all = entries.as_array().expect("a log").iter();
        let severe = all.filter(|entry| entry["level"] == "SEVERE");
        severe.map(|entry| entry["message"].to_string()).collect()
    }

    pub fn text(&self) -> String {
        self.eval("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.on_page("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    #[track_caller]
    fn element(&self, selector: &str) -> String {
        let using = json!({ "using": "css selector", "value": selector });
        let found = self.on_page("/element", &using);
        let id = found.as_object().and_then(|element| element.values().next()?.as_str());
        id.expect("an element").to_owned()
    }

    #[track_caller]
    fn on_page(&self, path: &str, body: &Value) -> Value {
        self.call(&format!("{}{path}", self.session), body)
    }

    #[track_caller]
    fn call(&self, path: &str, body: &Value) -> Value {
        let headers = [("Content-Type", "application/json")];
        let answer = ask(self.addr, "POST", path, &headers, &body.to_string());
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.body);
        answer.json()["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver takes its browser with it when it is asked to.
        if !self.session.is_empty() {
            ask(self.addr, "DELETE", &self.session, &[], "");
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

/// The port that the driver says it listens on.
fn port_in(output: ChildStdout) -> u16 {
    let (tell, port) = channel();
    // Until its end, since the driver would not outlive a pipe that nobody reads.
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let port = line.strip_suffix('.').and_then(|line| line.rsplit_once("on port "));
            if let Some(port) = port.and_then(|(_, port)| port.parse().ok()) {
                let _ = tell.send(port);
            }
        }
    });
    port.recv_timeout(PATIENCE).expect("the driver's port")
}
