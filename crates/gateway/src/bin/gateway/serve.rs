//! `gateway serve`.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gateway::limits::Limited;
use gateway::runner::{believing, observed};
use gateway::stop::launch;
use gateway_core::{Application, Server};
use gateway_middleware::BasicAuth;
use gateway_static::{StaticFiles, StaticFilesBuilder};
use gateway_std::StdServer;
use gateway_tokio::TokioServer;

use crate::auth::Credentials;
use crate::banner;
use crate::failure::Failure;
use crate::options::{ServeOptions, ServerChoice, connection_limits, trusted_fields};
use gateway::console;

/// Serves the files of a directory until it is stopped.
pub(crate) fn serve(options: ServeOptions) -> Result<ExitCode, Failure> {
    refuse_what_is_not_built(&options)?;
    let limits = connection_limits(options.max_connections, options.max_connections_per_address)?;
    let dir = options.dir.clone().unwrap_or_else(|| PathBuf::from("."));
    let app = application(&dir, &options)?;
    let address = address(&options)?;
    match options.server.unwrap_or_default() {
        ServerChoice::Std => start(StdServer::bind(address)?.limited(limits), app, &dir, &options),
        ServerChoice::Tokio => {
            start(TokioServer::bind(address)?.limited(limits), app, &dir, &options)
        }
    }
}

fn refuse_what_is_not_built(options: &ServeOptions) -> Result<(), Failure> {
    if options.tls_cert.is_some() || options.tls_key.is_some() {
        let reason = "the flags are reserved for TLS; put a proxy that speaks it in front";
        return Err(Failure::NotBuilt { flag: "--tls-cert/--tls-key", reason });
    }
    Ok(())
}

fn start(
    server: impl Server,
    app: Box<dyn Application>,
    dir: &Path,
    options: &ServeOptions,
) -> Result<ExitCode, Failure> {
    let addresses = server.local_addrs();
    let far = addresses.iter().any(|a| a.inet().is_some_and(|a| !a.ip().is_loopback()));
    let secret = options.auth.is_some();
    let upload = options.upload == Some(true);
    let qr = options.qr == Some(true);
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
    launch(server, app, true, move || {
        if far && secret {
            console::note("Passwords cross the network readable: there is no TLS yet.");
        }
        if far && upload && !secret {
            console::note(
                "Anybody who reaches this address can put files here; --auth asks for a password.",
            );
        }
        for address in &addresses {
            banner::show(&dir.display().to_string(), address, qr);
        }
    })
    .map_err(Failure::from)
}

/// `HOST:PORT` or `unix:PATH`.
fn address(options: &ServeOptions) -> Result<String, Failure> {
    let bind = options.bind.as_deref().unwrap_or("127.0.0.1");
    let port = options.port.unwrap_or(8000);
    if let Ok(both) = bind.parse::<SocketAddr>() {
        return Err(Failure::PortInBind(bind.to_owned(), both.ip().to_string(), both.port()));
    }
    Ok(match bind.parse::<IpAddr>() {
        _ if bind.starts_with("unix:") => bind.to_owned(),
        Ok(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        _ => format!("{bind}:{port}"),
    })
}

/// The files with everything around them that was asked for.
fn application(dir: &Path, options: &ServeOptions) -> Result<Box<dyn Application>, Failure> {
    let fields = trusted_fields(options.trusted_fields, options.trusted_proxy.as_deref())?;
    let files = files(dir, options).build()?;
    let app: Box<dyn Application> = match &options.auth {
        Some(text) => {
            let Credentials { user, password } = Credentials::read(text)?;
            Box::new(BasicAuth::new(files, &user, &password))
        }
        None => Box::new(files),
    };
    let log = options.log.unwrap_or_default().format();
    let app = observed(app, log, options.trace == Some(true));
    Ok(believing(app, options.trusted_proxy.clone().unwrap_or_default(), fields.into()))
}

fn files(dir: &Path, options: &ServeOptions) -> StaticFilesBuilder {
    let on = |choice: Option<bool>| choice == Some(true);
    let mut files = StaticFiles::new(dir)
        .listing(!on(options.no_listing))
        .hidden_files(on(options.hidden))
        .follow_symlinks(on(options.follow_symlinks))
        .precompressed(on(options.precompressed))
        .compression(on(options.compress))
        .upload(on(options.upload));
    if let Some(bytes) = options.upload_limit {
        files = files.upload_limit(bytes);
    }
    match options.spa.as_deref() {
        None | Some("false") => {}
        Some("true") => files = files.spa_fallback("index.html"),
        Some(page) => files = files.spa_fallback(page),
    }
    if let Some(page) = &options.not_found {
        files = files.not_found_page(page);
    }
    if let Some(names) = &options.index {
        files = files.index_files(names);
    }
    for rule in options.cache.iter().flatten() {
        files = match rule.split_once(':').filter(|_| rule.starts_with('/')) {
            Some((prefix, value)) => {
                files.cache_control_under(prefix.trim_end_matches('/'), value.trim())
            }
            None => files.cache_control(rule),
        };
    }
    match options.charset.as_deref() {
        None => {}
        Some("none") => files = files.without_charset(),
        Some(charset) => files = files.charset(charset),
    }
    match &options.cors {
        None => files,
        Some(origins) if origins.iter().any(|origin| origin == "*") => files.cors_any_origin(),
        Some(origins) => files.cors_origins(origins),
    }
}
