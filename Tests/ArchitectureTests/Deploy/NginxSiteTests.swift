import TestSupport
import Testing

@Suite("The nginx site", .timeLimit(.minutes(3)))
struct NginxSiteTests {
    /// nginx with the site before a real ingest and a real web.
    private struct Site: Sendable {
        let instance: Instance
        let certificate: TestCertificate
        let folder: TemporaryFolder
        let port: Int
        let plainPort: Int

        /// What curl says: the status, then the answer's head and body.
        func curl(_ path: String, _ options: String = "", input: String? = nil) async throws -> (status: Int, text: String) {
            let line =
                "curl -sS --max-time 30 --cacert '\(certificate.certificatePath)' -i -w '\\n%{http_code}' \(options) 'https://localhost:\(port)\(path)'"
            let result = try await Script.run(line, input: input)
            let status = result.output.split(separator: "\n").last.flatMap { Int($0) }
            return (try #require(status, "\(result.output) \(result.errors)"), result.output)
        }
    }

    private func run(_ body: (Site) async throws -> Void) async throws {
        let instance = try await Instance.make()
        defer { instance.end() }
        let migration = try await instance.quittance("migrate")
        try #require(migration.code == 0, "\(migration.errors)")
        try await instance.start(all: ["ingest", "web"])
        let certificate = try await TestCertificate.make()
        let site = Site(
            instance: instance, certificate: certificate, folder: try TemporaryFolder("quittance-nginx"), port: try freePort(),
            plainPort: try freePort())
        try site.folder.write(try Self.text(site), to: "site.conf")
        try site.folder.write(Self.frame(site.folder), to: "nginx.conf")
        let nginx = try await ProcessFixture.start(
            "/usr/sbin/nginx", ["-p", site.folder.path, "-c", site.folder.file("nginx.conf"), "-e", "stderr"])
        defer { nginx.end() }
        try await eventually("nginx answers") {
            guard nginx.isRunning else { throw FixtureError(nginx.transcript) }
            return try await HTTPLine.once(port: site.plainPort, "GET", "/").status == 308
        }
        try await body(site)
    }

    /// The site as it is, but for places: name, certificate, ports.
    private static func text(_ site: Site) throws -> String {
        var lines: [String] = []
        for line in try SourceTree.lines("deploy/nginx/quittance.conf") {
            var text = String(line)
            if text.contains("listen [::]") { continue }
            for (from, to) in [
                ("listen 80;", "listen 127.0.0.1:\(site.plainPort);"), ("listen 443 ", "listen 127.0.0.1:\(site.port) "),
                ("pay.example.com;", "localhost;"), ("/etc/letsencrypt/live/pay.example.com/fullchain.pem", site.certificate.certificatePath),
                ("/etc/letsencrypt/live/pay.example.com/privkey.pem", site.certificate.keyPath),
                ("server 127.0.0.1:8080;", "server 127.0.0.1:\(site.instance.ingestPort);"),
                ("server 127.0.0.1:8081;", "server 127.0.0.1:\(site.instance.webPort);"), ("/var/log/nginx/", site.folder.path + "/"),
            ] { text = text.replacing(from, with: to) }
            lines.append(text)
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func frame(_ folder: TemporaryFolder) -> String {
        let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map { "\($0)_temp_path \(folder.path)/\($0);" }.joined(separator: "\n")
        // One process of the test's own user.
        return """
            daemon off;
            master_process off;
            pid \(folder.path)/nginx.pid;
            error_log stderr warn;
            events { worker_connections 512; }
            http {
            \(places)
            include \(folder.path)/site.conf;
            }

            """
    }

    /// Signs a body as the Standard Webhooks sender does, and prints curl's options for it.
    private static func signed(_ folder: TemporaryFolder, bytes: Int) async throws -> String {
        let program = """
            import base64,hashlib,hmac,json,sys,time
            secret=base64.b64decode(sys.argv[1].removeprefix("whsec_"))
            body=json.dumps({"type":"payment.succeeded","data":{"order_id":"nobody","amount":"1","currency":"XOF","pad":"x"*int(sys.argv[3])}}).encode()
            open(sys.argv[2],"wb").write(body)
            now=str(int(time.time()))
            proof=base64.b64encode(hmac.new(secret,b"msg_site."+now.encode()+b"."+body,hashlib.sha256).digest()).decode()
            print(f"-H 'webhook-id: msg_site' -H 'webhook-timestamp: {now}' -H 'webhook-signature: v1,{proof}' -H 'content-type: application/json' "
                  f"-H 'expect:' --data-binary '@{sys.argv[2]}'")
            """
        let script = try folder.write(program, to: "sign.py")
        let result = try await Script.run("python3 '\(script)' '\(Instance.webhookSecret)' '\(folder.file("body"))' \(bytes)")
        guard result.status == 0 else { throw FixtureError(result.errors) }
        return result.output
    }

    @Test("ends TLS, says HSTS, sends webhooks and samples to ingest and the rest to web")
    func routes() async throws {
        try await run { site in
            let hsts = "strict-transport-security: max-age=63072000; includesubdomains"
            let event = try await site.curl("/webhooks/standard-webhooks", try await Self.signed(site.folder, bytes: 10))
            #expect(event.status == 200 && event.text.lowercased().contains(hsts), "\(event.text)")
            for (path, options, status) in [
                ("/webhooks/cinetpay", "", 200), ("/payments/cinetpay/notify/", "-d x=1", 401), ("/api/payments/callback", "-d x=1", 401),
                ("/webhooks/nobody", "-d x=1", 404), ("/usage", "-d x=1", 401), ("/openapi.json", "", 200),
                ("/api/teams", "", 401),
            ] {
                let answer = try await site.curl(path, options)
                #expect(answer.status == status && answer.text.lowercased().contains(hsts), "\(path): \(answer.text)")
            }
            let proof = "-H 'authorization: Bearer \(Instance.usageKey)' -H 'idempotency-key: 1'"
            let samples = try await site.curl(
                "/usage", proof + " -H 'content-type: application/x-ndjson' --data-binary @-",
                input: #"{"project":"shop","metric":"traffic","bytes":1234,"at":"2026-11-21T08:00:00Z"}"# + "\n")
            #expect(samples.status == 200, "\(samples.text)")
            // What tells of the inside is not for the outside, though both programs have it.
            for path in ["/metrics", "/healthz", "/readyz", "/livez", "/autoscale"] {
                #expect(try await site.curl(path).status == 404, "\(path)")
            }
            let plain = try await HTTPLine.once(port: site.plainPort, "POST", "/webhooks/cinetpay", body: [])
            #expect(plain.status == 308 && plain.headers["location"]?.hasPrefix("https://127.0.0.1/webhooks/cinetpay") == true)
        }
    }

    @Test("a body up to ingest's own limit passes, beyond it ingest refuses, beyond the greatest that can be set nginx does; web takes little")
    func sizes() async throws {
        try await run { site in
            let fits = try await site.curl("/webhooks/standard-webhooks", try await Self.signed(site.folder, bytes: 255_000))
            #expect(fits.status == 200, "\(fits.text)")
            for (path, bytes) in [("/webhooks/standard-webhooks", 300_000), ("/webhooks/standard-webhooks", 11_000_000), ("/api/v1/teams", 200_000)] {
                let options = try await Self.signed(site.folder, bytes: bytes)
                #expect(try await site.curl(path, options).status == 413, "\(path) \(bytes)")
            }
        }
    }

    @Test("a capability in a path is not written to nginx's log")
    func log() async throws {
        try await run { site in
            let secret = "00112233445566778899aabbccddeeff"
            _ = try await site.curl("/webhooks/cinetpay/pay_1/\(secret)?key=\(secret)", "-d x=1")
            try await eventually("the post is logged") {
                String(decoding: site.folder.read("quittance.log") ?? [], as: UTF8.self).contains("/webhooks/cinetpay/...")
            }
            #expect(!String(decoding: site.folder.read("quittance.log") ?? [], as: UTF8.self).contains(secret))
        }
    }
}
