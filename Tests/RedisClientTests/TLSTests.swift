import Formats
import RedisClient
import TestSupport
import Testing

/// A connection to a real Redis that speaks TLS, with certificates of the test's own authority.
@Suite struct `TLS` {
    private struct Party: Sendable {
        let authority: TestAuthority
        let server: TestAuthority.Signed

        static func make(names: [String] = ["DNS:localhost", "IP:127.0.0.1"], days: Int = 2) async throws -> Party {
            let authority = try await TestAuthority.make()
            return Party(authority: authority, server: try await authority.sign("server", names: names, days: days))
        }

        func tls(asksClients: Bool = false) -> RedisServer.TLS { RedisServer.TLS(authority, certificate: server, asksClients: asksClients) }
    }

    @Test func `commands go through, small and large, by name and by address`() async throws {
        let party = try await Party.make()
        try await Bench.with(password: "secret", tls: party.tls()) { bench in
            for host in ["127.0.0.1", "localhost"] {
                var address = bench.server.address
                address.place = .tcp(SocketAddress(host, bench.server.port))
                #expect(RedisConnection.refusal(of: address) == nil)
                let redis = try await bench.connect(address, timeout: .seconds(20))
                #expect(try await redis.call("PING") == .simple("PONG"))
                let piece = (0..<(3 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 7) }
                let results = await redis.pipeline((0..<4).map { RedisCommand("SET", "k\($0)", piece) } + [RedisCommand("ECHO", "last")])
                #expect(try results.map { try $0.get().string } == ["OK", "OK", "OK", "OK", "last"])
                let values = await redis.pipeline((0..<4).map { RedisCommand("GET", "k\($0)") })
                for value in values { #expect(try value.get() == .bulk(piece)) }
                let echoes = await redis.pipeline((0..<5000).map { RedisCommand("ECHO", "n\($0)") })
                #expect(try echoes.map { try $0.get().string } == (0..<5000).map { "n\($0)" })
                #expect(redis.generation == 1)
            }
        }
    }

    @Test func `a restart is survived, and a certificate renewed meanwhile needs no new start here`() async throws {
        let party = try await Party.make()
        let folder = try TemporaryFolder("quittance-trust")
        let trusted = try folder.write(party.authority.certificateText, to: "trusted.pem")
        try await Bench.with(tls: party.tls()) { bench in
            var address = bench.server.address
            address.tls?.authoritiesFile = trusted
            let redis = try await bench.connect(address)
            try await bench.server.kill9()
            let other = try await Party.make()
            try bench.server.configure(["tls-cert-file": other.server.certificatePath, "tls-key-file": other.server.keyPath])
            try await bench.server.restart()
            try await eventually("it is not trusted yet") { redis.lastError?.kind == .tls }
            try folder.write(other.authority.certificateText, to: "trusted.pem")
            try await redis.connected(within: .seconds(10))
            #expect(try await redis.call("PING") == .simple("PONG"))
            #expect(redis.generation == 2)
        }
    }

    /// What one of both sides does not accept.
    enum Fault: String, CaseIterable, Sendable {
        case strangeAuthority, systemsAuthorities, otherName, expired, noClientCertificate, strangeClient, plainServer
    }

    @Test(arguments: Fault.allCases)
    func `what is not accepted is told as TLS' own fault, that no retry mends`(fault: Fault) async throws {
        let party = try await Party.make(
            names: fault == .otherName ? ["DNS:redis.example.com"] : ["DNS:localhost", "IP:127.0.0.1"], days: fault == .expired ? -1 : 2)
        let asks = fault == .noClientCertificate || fault == .strangeClient
        try await Bench.with(tls: fault == .plainServer ? nil : party.tls(asksClients: asks)) { bench in
            var address = bench.server.address
            var tls = RedisTLS(authoritiesFile: party.authority.certificatePath)
            // Kept until the connection is closed.
            let stranger = try await Party.make()
            switch fault {
            case .strangeAuthority: tls.authoritiesFile = stranger.authority.certificatePath
            case .systemsAuthorities: tls.authoritiesFile = nil
            case .strangeClient:
                tls.certificateFile = stranger.server.certificatePath
                tls.keyFile = stranger.server.keyPath
            case .otherName, .expired, .noClientCertificate, .plainServer: break
            }
            address.tls = tls
            let redis = bench.open(address, timeout: .seconds(1), waits: true)
            let error = await failure { () throws(RedisError) in try await redis.call("PING", timeout: .seconds(4)) }
            // A server that is silent may be one that speaks no TLS, or an ill one.
            let kind = fault == .plainServer ? RedisError.Kind.timeout : .tls
            #expect(error?.kind == kind && error?.isTransient == (fault == .plainServer), "\(String(describing: error))")
            #expect(error?.mayHaveBeenExecuted == false)
            let reason =
                switch fault {
                case .strangeAuthority, .systemsAuthorities: "certificate is not accepted"
                case .otherName: "IP address mismatch"
                case .expired: "certificate has expired"
                case .noClientCertificate: "certificate required"
                case .strangeClient: "unknown ca"
                case .plainServer: "does the server speak it on this port?"
                }
            #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
            withExtendedLifetime(stranger) {}
        }
    }

    @Test func `who asks for certificates gets ours; another name than the host's may be demanded`() async throws {
        let party = try await Party.make(names: ["DNS:redis.example.com"])
        let client = try await party.authority.sign("client", names: ["DNS:worker"])
        try await Bench.with(tls: party.tls(asksClients: true)) { bench in
            var address = bench.server.address
            address.tls?.certificateFile = client.certificatePath
            address.tls?.keyFile = client.keyPath
            address.tls?.serverName = "redis.example.com"
            let redis = try await bench.connect(address)
            #expect(try await redis.call("PING") == .simple("PONG"))
            // Without looking at the server's certificate anybody may be the server.
            address.tls?.serverName = nil
            address.tls?.authoritiesFile = nil
            address.tls?.verifiesServer = false
            let careless = try await bench.connect(address)
            #expect(try await careless.call("PING") == .simple("PONG"))
        }
    }

    @Test func `files that cannot be used are told before the start`() async throws {
        let party = try await Party.make()
        let place = RedisAddress.Place.tcp(SocketAddress("localhost", 1))
        let broken = [
            RedisTLS(authoritiesFile: "/nowhere/ca.pem"), RedisTLS(authoritiesFile: party.server.keyPath),
            RedisTLS(certificateFile: "/nowhere/c.pem", keyFile: party.server.keyPath),
            RedisTLS(certificateFile: party.server.certificatePath, keyFile: "/nowhere/k.pem"),
            RedisTLS(certificateFile: party.authority.certificatePath, keyFile: party.server.keyPath),
        ]
        for tls in broken {
            let error = RedisConnection.refusal(of: RedisAddress(place: place, tls: tls))
            #expect(error?.kind == .tls && error?.message.contains("cannot be used") == true, "\(tls)")
        }
        let whole = RedisTLS(certificateFile: party.server.certificatePath, keyFile: party.server.keyPath)
        #expect(RedisConnection.refusal(of: RedisAddress(place: place, tls: whole)) == nil)
    }

    @Test func `a client without TLS is not let in, and says that it is not`() async throws {
        let party = try await Party.make()
        try await Bench.with(tls: party.tls()) { bench in
            var address = bench.server.address
            address.tls = nil
            let redis = bench.open(address, timeout: .milliseconds(500))
            try await eventually("the reason") { redis.lastError != nil }
            #expect(!redis.isConnected)
        }
    }
}
