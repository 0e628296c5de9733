import Formats
import HTTPServer
import Synchronization
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// A file of so many bytes, no two pieces of which are alike.
private func makeFile(_ size: Int, in folder: TemporaryFolder, _ name: String = "final.pdf") throws -> (bytes: [UInt8], path: String) {
    var state: UInt64 = 42
    let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
        for place in 0..<size {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            buffer[place] = UInt8(truncatingIfNeeded: state >> 33)
        }
        count = size
    }
    let path = folder.file(name)
    let descriptor = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0o600)
    guard descriptor >= 0 else { throw FixtureError("no file") }
    defer { close(descriptor) }
    var written = 0
    while written < size {
        let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + written }, size - written) }
        guard count > 0 else { throw FixtureError("the file cannot be written") }
        written += count
    }
    return (bytes, path)
}

private func opened(_ path: String, size: Int) throws -> ReadableFile {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FixtureError("\(path) cannot be opened") }
    return ReadableFile(owning: descriptor, size: Int64(size))
}

/// Answers every request with the file, as it asks for it.
private func serving(_ path: String, size: Int, name: String = "Rapport final.pdf") -> HTTPServer.Handler {
    { request, responder in
        guard let file = try? opened(path, size: size) else { return responder.respond(.text(500, "no file")) }
        responder.respond(FileAnswer(file, type: "application/pdf", name: name, tag: "tag-1").response(to: request))
    }
}

private func get(_ headers: String = "", method: String = "GET") -> String { "\(method) /f HTTP/1.1\r\nHost: x\r\n\(headers)\r\n" }

/// Descriptors of this process that are files of the folder.
private func openFiles(below folder: String) -> Int {
    (FolderEntry.names(in: "/proc/self/fd") ?? []).count { name in
        var target = [UInt8](repeating: 0, count: 4096)
        let length = target.withUnsafeMutableBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { text in text.baseAddress.map { readlink("/proc/self/fd/\(name)", $0, text.count) } ?? 0 }
        }
        return length > 0 && String(decoding: target[..<length], as: UTF8.self).hasPrefix(folder)
    }
}

@Suite("HTTP server files")
struct HTTPServerFileTests {
    @Test(
        "a file arrives byte for byte, also one larger than every buffer between, and the connection stays",
        arguments: [1, 4096, 65_536, 3_000_001, 24_000_000])
    func whole(size: Int) async throws {
        let folder = try TemporaryFolder("http-file")
        let (bytes, path) = try makeFile(size, in: folder)
        try await withServer(handler: serving(path, size: size)) { _, port in
            let client = try RawClient(port: port)
            for _ in 0..<2 {
                client.send(get())
                let answer = try client.answer()
                #expect(answer.status == 200)
                #expect(answer.header("Content-Length") == "\(size)")
                #expect(answer.body == bytes)
            }
            try waitUntil("the files are closed") { openFiles(below: folder.path) == 0 }
        }
    }

    @Test("what is sent says what it is, that nobody may keep it, and that it is a file")
    func headers() async throws {
        let folder = try TemporaryFolder("http-file")
        let (_, path) = try makeFile(100, in: folder)
        try await withServer(handler: serving(path, size: 100)) { _, port in
            let client = try RawClient(port: port)
            client.send(get())
            let answer = try client.answer()
            #expect(answer.header("Content-Type") == "application/pdf")
            #expect(answer.header("Accept-Ranges") == "bytes")
            #expect(answer.header("ETag") == "\"tag-1\"")
            #expect(answer.header("Cache-Control") == "no-store")
            #expect(answer.header("X-Content-Type-Options") == "nosniff")
            #expect(answer.header("Content-Disposition") == "attachment; filename=\"Rapport final.pdf\"; filename*=UTF-8''Rapport%20final.pdf")
        }
    }

    @Test("HEAD tells everything and sends nothing")
    func head() async throws {
        let folder = try TemporaryFolder("http-file")
        let (bytes, path) = try makeFile(70_000, in: folder)
        try await withServer(handler: serving(path, size: 70_000)) { _, port in
            let client = try RawClient(port: port)
            client.send(get(method: "HEAD"))
            let head = try client.answer(hasBody: false)
            #expect(head.status == 200 && head.header("Content-Length") == "70000")
            client.send(get())
            #expect(try client.answer().body == bytes)
        }
    }

    @Test(
        "one range of bytes is sent as asked",
        arguments: [
            ("bytes=0-0", 0, 1), ("bytes=10-19", 10, 10), ("bytes=99990-", 99_990, 10), ("bytes=-5", 99_995, 5),
            ("bytes=50000-200000", 50_000, 50_000),
            ("bytes=-200000", 0, 100_000), ("bytes=0-9223372036854775807", 0, 100_000), ("bytes=1-99999999999999999999999", 1, 99_999),
        ])
    func ranges(field: String, first: Int, count: Int) async throws {
        let folder = try TemporaryFolder("http-file")
        let (bytes, path) = try makeFile(100_000, in: folder)
        try await withServer(handler: serving(path, size: 100_000)) { _, port in
            let client = try RawClient(port: port)
            client.send(get("Range: \(field)\r\n"))
            let answer = try client.answer()
            #expect(answer.status == 206)
            #expect(answer.header("Content-Range") == "bytes \(first)-\(first + count - 1)/100000")
            #expect(answer.body == Array(bytes[first..<(first + count)]))
        }
    }

    @Test(
        "what is no single range of bytes is overlooked",
        arguments: [
            "bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "bytes=1-2,4-5", "items=0-4", "bytes = 0-4", "bytes=0-4-5", "bytes=+1-2", "bytes=1--2",
            "0-4", "bytes=0x1-2",
        ])
    func overlooked(field: String) async throws {
        let folder = try TemporaryFolder("http-file")
        let (bytes, path) = try makeFile(1000, in: folder)
        try await withServer(handler: serving(path, size: 1000)) { _, port in
            let client = try RawClient(port: port)
            client.send(get("Range: \(field)\r\n"))
            let answer = try client.answer()
            #expect(answer.status == 200 && answer.body == bytes)
            client.send(get("Range: bytes=0-1\r\nRange: bytes=4-5\r\n"))
            #expect(try client.answer().status == 200)
        }
    }

    @Test("a range behind the end is refused with the size; one that is meant for another file gets the whole")
    func refused() async throws {
        let folder = try TemporaryFolder("http-file")
        let (_, path) = try makeFile(1000, in: folder)
        try await withServer(handler: serving(path, size: 1000)) { _, port in
            let client = try RawClient(port: port)
            for field in ["bytes=1000-", "bytes=5000-6000", "bytes=-0"] {
                client.send(get("Range: \(field)\r\n"))
                let answer = try client.answer()
                #expect(answer.status == 416 && answer.header("Content-Range") == "bytes */1000")
            }
            client.send(get("Range: bytes=1-2\r\nIf-Range: \"tag-1\"\r\n"))
            #expect(try client.answer().status == 206)
            for stranger in ["\"tag-2\"", "W/\"tag-1\"", "tag-1", "Sat, 21 Nov 2026 10:00:00 GMT"] {
                client.send(get("Range: bytes=1-2\r\nIf-Range: \(stranger)\r\n"))
                #expect(try client.answer().status == 200)
            }
        }
    }

    @Test("requests sent ahead are answered in their order, files between texts")
    func pipelined() async throws {
        let folder = try TemporaryFolder("http-file")
        let (bytes, path) = try makeFile(300_000, in: folder)
        let file = serving(path, size: 300_000)
        try await withServer(handler: { request, responder in
            request.target == "/f" ? file(request, responder) : responder.respond(.text(200, request.target))
        }) { _, port in
            let client = try RawClient(port: port)
            let text = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
            client.send(text + get() + get("Range: bytes=5-9\r\n") + text + get() + text)
            #expect(try client.answer().text == "/a")
            #expect(try client.answer().body == bytes)
            #expect(try client.answer().body == Array(bytes[5...9]))
            #expect(try client.answer().text == "/a")
            #expect(try client.answer().body == bytes)
            #expect(try client.answer().text == "/a")
        }
    }

    @Test("a client that leaves in the middle takes nobody with it, and its file is closed")
    func leaving() async throws {
        let folder = try TemporaryFolder("http-file")
        let (bytes, path) = try makeFile(24_000_000, in: folder)
        try await withServer(handler: serving(path, size: 24_000_000)) { server, port in
            for _ in 0..<4 {
                let client = try RawClient(port: port, receiveBuffer: 4096)
                client.send(get())
                _ = try client.text(through: "\r\n\r\n")
                client.vanish()
            }
            try waitUntil("the connections are forgotten") { server.connectionCount == 0 && openFiles(below: folder.path) == 0 }
            let other = try RawClient(port: port)
            other.send(get())
            #expect(try other.answer().body == bytes)
        }
    }

    @Test("a client that takes nothing is cut off after the idle time; one that takes a little now and then is not")
    func slow() async throws {
        let folder = try TemporaryFolder("http-file")
        let (bytes, path) = try makeFile(12_000_000, in: folder)
        try await withServer(change: { $0.idleTimeout = .milliseconds(400) }, handler: serving(path, size: 12_000_000)) { server, port in
            let stuck = try RawClient(port: port, receiveBuffer: 4096)
            stuck.send(get())
            _ = try stuck.text(through: "\r\n\r\n")
            let begun = ContinuousClock.now
            try waitUntil("the stuck client is cut off") { server.connectionCount == 0 && openFiles(below: folder.path) == 0 }
            #expect(begun.duration(to: .now) >= .milliseconds(300))
            // All of it in so many sips takes several times the idle time.
            let sipping = try RawClient(port: port, receiveBuffer: 256 * 1024)
            sipping.send(get())
            _ = try sipping.text(through: "\r\n\r\n")
            var taken: [UInt8] = []
            let sip = 1_000_000
            while taken.count < bytes.count {
                taken += try sipping.take(min(sip, bytes.count - taken.count))
                poll(nil, 0, 100)
            }
            #expect(taken == bytes)
        }
    }

    @Test("a slow client of a large file keeps nobody waiting on its loop")
    func turns() async throws {
        let folder = try TemporaryFolder("http-file")
        let (_, path) = try makeFile(24_000_000, in: folder)
        let file = serving(path, size: 24_000_000)
        try await withServer(handler: { request, responder in
            request.target == "/f" ? file(request, responder) : responder.respond(.text(200, request.target))
        }) { _, port in
            let slow = try (0..<8).map { _ in try RawClient(port: port, receiveBuffer: 4096) }
            for client in slow { client.send(get()) }
            let quick = try RawClient(port: port)
            for _ in 0..<200 {
                quick.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(try quick.answer().text == "/a")
            }
        }
    }

    @Test("a file that became shorter ends the connection: nobody takes half of it for the whole")
    func shortened() async throws {
        let folder = try TemporaryFolder("http-file")
        let (_, path) = try makeFile(100_000, in: folder)
        try await withServer(handler: serving(path, size: 200_000)) { _, port in
            let client = try RawClient(port: port)
            client.send(get())
            #expect(throws: (any Error).self) { try client.answer() }
        }
    }

    @Test("a server that stops lets a download under way finish, and ends the connection after it")
    func stopping() async throws {
        let folder = try TemporaryFolder("http-file")
        let (bytes, path) = try makeFile(24_000_000, in: folder)
        try await withServer(handler: serving(path, size: 24_000_000)) { server, port in
            let client = try RawClient(port: port)
            client.send(get())
            _ = try client.text(through: "\r\n\r\n")
            let stop = BlockedTask { await server.stop(by: .now.advanced(by: .seconds(20).stretched)) }
            let begun = ContinuousClock.now
            #expect(try client.take(bytes.count) == bytes)
            #expect(try client.textToEnd() == "")
            _ = try stop.wait()
            #expect(begun.duration(to: .now) < .seconds(15).stretched)
        }
    }

    @Test(
        "no file name breaks out of its header, leads to another folder or hides what it is",
        arguments: [
            ("Rapport final.pdf", "Rapport final.pdf", "Rapport%20final.pdf"), ("été.docx", "_t_.docx", "%C3%A9t%C3%A9.docx"),
            ("../../etc/passwd", "passwd", "passwd"), ("C:\\temp\\a.pdf", "a.pdf", "a.pdf"),
            ("a\"; filename=\"b.exe", "a__ filename__b.exe", "a%22%3B%20filename%3D%22b.exe"),
            ("a\r\nSet-Cookie: x=1.pdf", "aSet-Cookie_ x_1.pdf", "aSet-Cookie%3A%20x%3D1.pdf"), ("", "file", "file"), ("...", "file", "file"),
            (".htaccess", "htaccess", "htaccess"), ("fdp.\u{202E}exe.pdf", "fdp.exe.pdf", "fdp.exe.pdf"),
            ("报告.pdf", "__.pdf", "%E6%8A%A5%E5%91%8A.pdf"),
            ("a%00b.pdf", "a_00b.pdf", "a%2500b.pdf"),
            ("x/\u{301}y.pdf", "_y.pdf", "%CC%81y.pdf"), (".\u{301}z.pdf", "_z.pdf", "%CC%81z.pdf"),
        ])
    func names(name: String, plain: String, encoded: String) {
        #expect(ContentDisposition.attachment(name) == "attachment; filename=\"\(plain)\"; filename*=UTF-8''\(encoded)")
    }

    @Test("a long name is cut, its ending kept")
    func longNames() {
        let text = ContentDisposition.attachment(String(repeating: "x", count: 900) + ".docx")
        #expect(text.hasPrefix("attachment; filename=\"" + String(repeating: "x", count: 145) + ".docx\""))
        #expect(ContentDisposition.attachment(String(repeating: "é", count: 900)).utf8.count < 1200)
    }
}
