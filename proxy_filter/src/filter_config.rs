//! The filter's configuration: lines of a word and a value, each once (`envoy/proxy_filter.py`).

/// What holds for all requests of a listener.
#[derive(Debug, PartialEq, Eq)]
pub struct FilterConfig {
    /// Envoy's cluster of policy workers.
    pub policy_cluster: Vec<u8>,
    /// Path of their Unix socket.
    pub policy_socket: Vec<u8>,
    /// How long a decision may take.
    pub policy_timeout_ms: u64,
    /// Larger bodies are not shown to the policy service.
    pub body_limit_bytes: usize,
    /// Path of the file of revocations.
    pub revocations: Vec<u8>,
    /// Of one worker, for each of two generations.
    pub cache_entries: usize,
    /// As `cache_entries`.
    pub cache_bytes: usize,
    /// Of a request's headers with those of the decision.
    pub headers_limit_bytes: usize,
    /// As `headers_limit_bytes`.
    pub headers_limit_count: usize,
    /// Whether clients may ask which route took their request.
    pub debug_header: bool,
    /// Whether a peer may speak for clients, so that arrival says how a request looks to its client.
    pub has_trusted_peers: bool,
}

impl FilterConfig {
    /// The configuration in a text, or what is wrong with it.
    pub fn parse(text: &[u8]) -> Result<FilterConfig, String> {
        let mut lines = Lines::read(text)?;
        let config = FilterConfig {
            policy_cluster: lines.take("policy-cluster")?.to_vec(),
            policy_socket: lines.take("policy-socket")?.to_vec(),
            policy_timeout_ms: lines.number("policy-timeout-ms")?,
            body_limit_bytes: lines.size("body-limit-bytes")?,
            revocations: lines.take("revocations")?.to_vec(),
            cache_entries: lines.size("cache-entries")?,
            cache_bytes: lines.size("cache-bytes")?,
            headers_limit_bytes: lines.size("headers-limit-bytes")?,
            headers_limit_count: lines.size("headers-limit-count")?,
            debug_header: lines.is_on("debug-header")?,
            has_trusted_peers: lines.is_on("trusted-peers")?,
        };
        lines.end()?;
        Ok(config)
    }
}

/// Lines of a word and a value.
pub struct Lines<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> Lines<'a> {
    /// The lines of a text.
    pub fn read(text: &'a [u8]) -> Result<Lines<'a>, String> {
        let lines = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let pairs = lines.map(|line| {
            let mut parts = line.splitn(2, |byte| *byte == b' ');
            match (parts.next(), parts.next()) {
                (Some(word), Some(value)) => Ok((word, value)),
                _ => Err(format!("'{}' has no value", String::from_utf8_lossy(line))),
            }
        });
        Ok(Lines(pairs.collect::<Result<_, _>>()?))
    }

    /// The value of the first line with this word, which is taken away.
    pub fn optional(&mut self, word: &str) -> Option<&'a [u8]> {
        let place = self.0.iter().position(|line| line.0 == word.as_bytes())?;
        Some(self.0.remove(place).1)
    }

    /// Whether there is a line `<word> on`.
    pub fn is_on(&mut self, word: &str) -> Result<bool, String> {
        match self.optional(word) {
            None => Ok(false),
            Some(b"on") => Ok(true),
            Some(_) => Err(format!("{word} is not 'on'")),
        }
    }

    fn take(&mut self, word: &str) -> Result<&'a [u8], String> {
        let value = self
            .optional(word)
            .ok_or_else(|| format!("{word} is missing"))?;
        if value.is_empty() {
            return Err(format!("{word} is empty"));
        }
        Ok(value)
    }

    fn number(&mut self, word: &str) -> Result<u64, String> {
        let text = String::from_utf8_lossy(self.take(word)?).into_owned();
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit()); // `+1` is none
        let number = text.parse().ok().filter(|_| is_number);
        number.ok_or_else(|| format!("{word} is not a number: '{text}'"))
    }

    fn size(&mut self, word: &str) -> Result<usize, String> {
        usize::try_from(self.number(word)?).map_err(|_| format!("{word} is too large"))
    }

    /// Nothing must be left.
    pub fn end(&self) -> Result<(), String> {
        match self.0.first() {
            None => Ok(()),
            Some((word, _)) => Err(format!(
                "'{}' is unknown, or there twice",
                String::from_utf8_lossy(word)
            )),
        }
    }
}
