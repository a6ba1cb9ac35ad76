//! The status page and the built-in site in a real browser.

mod util;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rustix::process::Signal;
use test_needs::{Need, needs};
use util::browser::Browser;
use util::scene::{TOKEN, TokenFile};
use util::tool::{CHROMEDRIVER, CHROMIUM};
use util::{Forwarder, accept, connect, free_port, target};

/// Bytes to and fro, until this is dropped.
struct Traffic {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    fn start(mut client: TcpStream, mut server: TcpStream) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut buf = vec![0; 20_000];
            while !stopped.load(Ordering::Relaxed) {
                client.write_all(&buf[..10_000]).expect("sent");
                server.read_exact(&mut buf[..10_000]).expect("received");
                server.write_all(&buf).expect("sent");
                client.read_exact(&mut buf).expect("received");
            }
        });
        Traffic { stop, thread: Some(thread) }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(thread::panicking() || ended.is_none_or(|it| it.is_ok()), "the traffic failed");
    }
}

/// What a page has to be whatever its looks: within the window's width, readable, and made of
/// nothing from elsewhere.
const FLAWS: &str = r"
    const flaws = [];
    const root = document.documentElement;
    if (root.scrollWidth > innerWidth) flaws.push(`wider than the window: ${root.scrollWidth}`);
    for (const { name } of performance.getEntriesByType('resource'))
        if (!name.startsWith(location.origin)) flaws.push(`from elsewhere: ${name}`);
    const parts = color => color.match(/[\d.]+/g).map(Number);
    const light = color => parts(color).slice(0, 3)
        .map(it => it / 255).map(it => it <= .04045 ? it / 12.92 : ((it + .055) / 1.055) ** 2.4)
        .reduce((sum, it, at) => sum + it * [.2126, .7152, .0722][at], 0);
    const behind = node => {
        for (; node; node = node.parentElement) {
            const color = getComputedStyle(node).backgroundColor;
            if ((parts(color)[3] ?? 1) > .5) return color;
        }
        return 'rgb(255, 255, 255)';
    };
    for (const node of document.querySelectorAll('body *')) {
        const own = [...node.childNodes].some(it => it.nodeType === 3 && it.data.trim());
        if (!own || !node.checkVisibility() || node.disabled || node.closest('noscript, .gone')) continue;
        const style = getComputedStyle(node);
        const [a, b] = [light(node.ownerSVGElement ? style.fill : style.color), light(behind(node))];
        const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        if (contrast < 4.5) flaws.push(`${contrast.toFixed(2)} of contrast in '${node.textContent}'`);
    }
    for (const control of document.querySelectorAll('button, input, [tabindex]')) {
        if (!control.checkVisibility()) continue;
        const name = control.ariaLabel || control.textContent.trim() || control.labels?.length
            || control.getAttribute('aria-labelledby');
        if (!name) flaws.push(`no name: ${control.outerHTML}`);
    }
    return flaws.join('; ');
";

#[track_caller]
fn assert_flawless(browser: &Browser, name: &str) {
    for (width, dark) in [(1280, false), (1280, true), (400, false), (400, true)] {
        browser.look(width, 900, dark);
        let scheme = if dark { "dark" } else { "light" };
        browser.picture(&format!("{name}-{width}-{scheme}"));
        assert_eq!(browser.eval(FLAWS), "", "{width} {scheme}");
    }
    browser.look(1280, 900, false);
}

fn row(client: SocketAddr) -> String {
    format!(
        "[...document.querySelectorAll('#list tbody tr')].find(it => it.cells[0].textContent === '{client}')"
    )
}

#[test]
fn the_status_page_shows_live_what_goes_through_and_ends_connections() {
    needs!(CHROMIUM, CHROMEDRIVER);
    let browser = Browser::start("status");
    let token_file = TokenFile::new("pages");
    let (listener, addr) = target();
    let (page, port) = (free_port(), free_port());
    let forwarder = Forwarder::start(&[
        "--rule",
        &format!("{port}={addr}"),
        "--status",
        &page.to_string(),
        "--status-token-file",
        token_file.arg(),
        "--workers",
        "2",
    ]);
    let mut idle = (connect(port), accept(&listener));
    let traffic = Traffic::start(connect(port), accept(&listener));
    browser.look(1280, 900, false);
    browser.open(&format!("http://{page}/"));

    // Rates, totals and graphs move by themselves.
    let moves = |what: &str| {
        let before = browser.wait_for(&format!("return /^[1-9]/.test({what}) && {what}"));
        browser.wait_for(&format!("return /^[1-9]/.test({what}) && {what} !== {before}"));
    };
    for id in ["rate-up", "rate-down", "bytes-up", "bytes-down", "uptime"] {
        moves(&format!("document.getElementById('{id}').textContent.replace('up for ', '')"));
    }
    browser.wait_for("return document.querySelector('#bytes-graph path.down:not(.area)').getAttribute('d').length > 20");
    browser.wait_for("return document.getElementById('open').textContent === '2'");
    browser.wait_for("return document.getElementById('state').textContent === 'forwarding'");
    browser.wait_for("return document.querySelector('#rules tbody .pill').textContent === 'up'");

    // The busier one is first until the order is turned.
    let own = idle.0.local_addr().expect("connected");
    let place = format!("return {}?.sectionRowIndex ?? null", row(own));
    assert_eq!(browser.wait_for(&place), 1);
    browser.click("#list th[data-sort=per_second] button");
    browser.wait_for(&format!("return {}.sectionRowIndex === 0", row(own)));
    assert_eq!(browser.eval("return document.querySelector('[aria-sort]').ariaSort"), "ascending");
    assert_flawless(&browser, "status");
    assert_eq!(browser.errors(), Vec::<String>::new());

    // A wrong token ends nothing, and the right one only what was chosen.
    let button = "#list tbody tr:first-child button";
    browser.click(button);
    browser.click("#confirm-do");
    browser.type_into("#secret", "not-the-token");
    browser.click("#ask .primary");
    browser.wait_for(
        "return document.getElementById('ask-why').textContent.includes('not the token')",
    );
    idle.0.write_all(b"x").expect("sent");
    idle.1.read_exact(&mut [0]).expect("still open");
    browser.type_into("#secret", TOKEN);
    browser.click("#ask .primary");
    let end = idle.0.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
    browser.wait_for("return document.getElementById('open').textContent === '1'");

    // It says when it drains, and when it is gone.
    forwarder.signal(Signal::TERM);
    browser.wait_for("return document.getElementById('state').textContent.startsWith('draining')");
    drop(traffic);
    browser.wait_for("return document.getElementById('state').textContent === 'no answer'");
}

#[test]
fn rules_are_collapsed_searched_and_sorted() {
    needs!(CHROMIUM, CHROMEDRIVER);
    let browser = Browser::start("rules");
    let (_listener, addr) = target();
    let page = free_port();
    let rules: Vec<_> = (0..30).map(|_| format!("{}={addr}", free_port())).collect();
    let page_arg = page.to_string();
    let mut args = vec!["--status", &page_arg];
    args.extend(rules.iter().flat_map(|rule| ["--rule", rule]));
    let _forwarder = Forwarder::start(&args);
    let busy = rules[20].split_once('=').expect("a rule").0;
    let _open = connect(busy.parse().expect("an address"));
    browser.look(1280, 900, false);
    browser.open(&format!("http://{page}/"));

    let rows = |count: usize| {
        browser.wait_for(&format!(
            "return document.querySelectorAll('#rules tbody tr').length === {count}"
        ));
    };
    rows(30);
    browser.click("#rules tbody:nth-of-type(2) .toggle");
    rows(31);
    browser.click("#rules-expand");
    rows(60);
    browser.click("#rules-expand");
    rows(30);
    // By the number of open connections, the largest first.
    browser.click("#rules th[data-sort='2'] button");
    browser.wait_for(&format!(
        "return document.querySelector('#rules tbody th b').textContent === '{busy}'"
    ));
    browser.type_into("#rules-search", busy);
    rows(1);
    browser.wait_for("return document.getElementById('rules-count').textContent === '1 of 30'");
    browser.type_into("#rules-search", " backing");
    browser.wait_for("return document.getElementById('rules-none').checkVisibility()");
    assert_flawless(&browser, "rules");
    assert_eq!(browser.errors(), Vec::<String>::new());
}

#[test]
fn the_built_in_site_shows_what_goes_through_on_its_way_to_it() {
    needs!(CHROMIUM, CHROMEDRIVER, Need::FreePort(8080));
    let browser = Browser::start("site");
    let _forwarder = Forwarder::start(&[]);
    browser.look(1280, 900, false);
    browser.open("http://127.0.0.1:8080/");
    browser.wait_for("return /^[1-9]/.test(document.getElementById('rate-down').textContent)");
    browser.wait_for("return Number(document.getElementById('open').textContent) >= 1");
    assert_eq!(
        browser.eval("return document.getElementById('listen').textContent"),
        "127.0.0.1:8080"
    );
    browser.click("#send");
    browser
        .wait_for("return document.getElementById('sent').textContent.startsWith('256 MiB in ')");
    browser
        .wait_for("return /^2\\d\\d MiB|GiB/.test(document.getElementById('bytes').textContent)");
    assert_flawless(&browser, "site");
    assert_eq!(browser.errors(), Vec::<String>::new());
}
