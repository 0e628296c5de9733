import HTTPClient

extension Arena {
    /// Starts nginx with a template of the repository's, and waits until it answers a request with 200.
    /// - Returns: its port.
    func startNginx(template path: String, answering method: String = "GET", _ target: String = "/") async throws -> Int {
        let port = try Arena.freePort()
        guard var text = Machine.file(path) else { throw BenchmarkError("\(path) is not here: run from the repository's folder") }
        for (name, value) in [("@workers@", "\(Machine.cores)"), ("@folder@", folder), ("@port@", "\(port)")] {
            text = text.split(separator: name, omittingEmptySubsequences: false).joined(separator: value)
        }
        let file = "\(folder)/nginx.conf"
        try Machine.write(Array(text.utf8), to: file)
        try await start("nginx", try Arena.tool("nginx"), ["-c", file, "-e", "\(folder)/nginx-error.log", "-p", folder])
        let http = http
        try await wait("nginx answers") {
            try await http.send(HTTPClient.Request(method: method, url: "http://127.0.0.1:\(port)\(target)")).status == 200
        }
        return port
    }
}
