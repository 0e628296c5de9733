import Cryptography
import EventLoop
import Formats
import IngestService
import JobQueue
import JobQueueRedis
import MessageCatalog
import MessagePort
import NotificationDelivery
import Notifications
import NotificationsService
import Outbox
import RedisClient
import Settings
import Telemetry
import TestSupport
import Testing
import WhatsAppCloud

/// A real ingest with a real Redis of its own, that takes receipts of messages.
private final class ReceiptStage: Sendable {
    static let verifyToken = "verify-0123456789"

    let redis: RedisServer
    let ingest: IngestServer
    let queues: RedisQueues
    private let folder: TemporaryFolder

    static func run(_ body: (ReceiptStage) async throws -> Void) async throws {
        let redis = try await RedisServer.start(config: ["appendonly": "yes", "appendfsync": "always"])
        let loop = try EventLoop.started(name: "receipts-test")
        let stage = try ReceiptStage(redis, loop)
        try await stage.ingest.start()
        let result: Result<Void, any Error>
        do { result = .success(try await body(stage)) } catch { result = .failure(error) }
        await stage.ingest.stop(by: .now + .seconds(5))
        stage.queues.close()
        let ending = BlockingPool(name: "receipts-end", threads: 1)
        try await ending.run { loop.stop() }
        ending.close()
        try result.get()
    }

    private init(_ redis: RedisServer, _ loop: EventLoop) throws {
        self.redis = redis
        folder = try TemporaryFolder("receipts")
        let settings = try Settings(environment: [
            "PROVIDER_MODE_AFRICAS_TALKING": "sandbox", "PROVIDER_MODE_ORANGE_SMS": "sandbox", "PROVIDER_MODE_WHATSAPP": "sandbox",
            "AFRICAS_TALKING_RECEIPT_SECRET": "old-at-secret-0000 \(MessageStage.secrets["africas-talking"] ?? "")",
            "ORANGE_SMS_RECEIPT_SECRET": MessageStage.secrets["orange-sms"] ?? "", "WHATSAPP_APP_SECRET": MessageStage.secrets["whatsapp"] ?? "",
            "WHATSAPP_VERIFY_TOKEN": Self.verifyToken,
        ])
        ingest = try IngestServer(
            IngestConfiguration(
                address: SocketAddress("127.0.0.1", 0), redis: redis.address, queuePrefix: "quittance:", spoolDirectory: folder.file("spool"),
                loops: 1, sources: [], receipts: MessageCatalog.receiptSources(settings.notifications)), log: Log())
        queues = RedisQueues(loop: loop, address: redis.address, prefix: "quittance:", name: "receipts-test")
    }

    var url: String { "http://127.0.0.1:\(ingest.address.port)" }

    func ask(_ method: String, _ path: String, headers: [(String, String)] = [], body: [UInt8]? = nil) async throws -> HTTPLine.Answer {
        try await HTTPLine.once(port: ingest.address.port, method, path, headers: headers, body: body)
    }

    func listed() async throws -> [ReceiptPost] {
        try await queues.driver(of: ReceiptPost.queue).peek(limit: 100).map { try ReceiptPost(decoding: $0) }
    }

    static func signed(_ body: [UInt8], by secret: String? = MessageStage.secrets["whatsapp"]) -> [(String, String)] {
        [
            ("content-type", "application/json"),
            ("x-hub-signature-256", "sha256=" + Hex.encode(HMACSHA256(key: secret ?? "").authenticate(body))),
        ]
    }
}

@Suite("Receipts of messages at ingest", .timeLimit(.minutes(3)))
struct ReceiptIngestTests {
    private static let status = Array(
        #"{"object":"whatsapp_business_account","entry":[{"changes":[{"value":{"statuses":[{"id":"wamid.1","status":"read","timestamp":"1763712000"}]}}]}]}"#
            .utf8)
    private static let report = Array("id=ATXid_1&status=Success&phoneNumber=%2B2250708091011&networkCode=61203&retryCount=0".utf8)

    @Test("Meta's published vector verifies, anything else does not")
    func vector() {
        let source = WhatsAppReceipts(appSecrets: ["0123456789abcdef0123456789abcdef"], verifyToken: "t", mode: "live")
        let body = Array(#"{"object":"whatsapp_business_account","entry":[]}"#.utf8)
        let good = "eefab58106e73358686845848feb95c56372e7391b3dc050b6a31c8c5f347ece"
        func verdict(_ signature: String?, _ body: [UInt8], secret: String? = nil) -> Bool {
            let headers = HTTPHeaders(signature.map { [("x-hub-signature-256", $0)] } ?? [])
            return source.verify(ReceiptRequest(method: "POST", secret: secret, headers: headers, body: body)) == .accepted
        }
        #expect(verdict("sha256=\(good)", body) && verdict("SHA256=\(good.uppercased())", body))
        for wrong in [nil, "", good, "sha256=", "sha256=\(good.dropLast())", "sha1=\(good)", "sha256=\(String(good.reversed()))"] {
            #expect(!verdict(wrong, body), "\(wrong ?? "none")")
        }
        #expect(!verdict("sha256=\(good)", body + [32]) && !verdict("sha256=\(good)", body, secret: "x"))
        let keyless = WhatsAppReceipts(appSecrets: [""], verifyToken: "", mode: "live")
        let empty = HTTPHeaders([("x-hub-signature-256", "sha256=" + Hex.encode(HMACSHA256(key: "").authenticate(body)))])
        #expect(
            keyless.verify(ReceiptRequest(method: "POST", secret: nil, headers: empty, body: body)) != .accepted, "an empty secret proves nothing")
    }

    @Test("the answers, and what is kept of each")
    func answers() async throws {
        try await ReceiptStage.run { stage in
            let (talking, orange) = (MessageStage.secrets["africas-talking"] ?? "", MessageStage.secrets["orange-sms"] ?? "")
            let form = [("content-type", "application/x-www-form-urlencoded")]
            let asked = "hub.mode=subscribe&hub.verify_token=\(ReceiptStage.verifyToken)&hub.challenge=1158201444"
            try await eventually("ingest uses Redis") {
                guard try await stage.ask("POST", "/webhooks/orange-sms/\(orange)", body: [123, 125]).status == 200 else { return false }
                return try await !stage.listed().isEmpty
            }
            let before = try await stage.listed().count
            let table: [(String, String, [(String, String)], [UInt8]?, Int)] = [
                ("GET", "/webhooks/whatsapp?\(asked)", [], nil, 200), ("GET", "/webhooks/whatsapp?\(asked)x%3Cb%3E", [], nil, 401),
                ("GET", "/webhooks/whatsapp?hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=1", [], nil, 401),
                ("GET", "/webhooks/whatsapp", [], nil, 401), ("PUT", "/webhooks/whatsapp", [], Self.status, 405),
                ("POST", "/webhooks/whatsapp", ReceiptStage.signed(Self.status), Self.status, 200),
                ("POST", "/webhooks/whatsapp/", ReceiptStage.signed(Self.status), Self.status, 200),
                ("POST", "/webhooks/whatsapp", ReceiptStage.signed(Self.status, by: "another-secret-000"), Self.status, 401),
                ("POST", "/webhooks/whatsapp", [], Self.status, 401),
                ("POST", "/webhooks/whatsapp/x", ReceiptStage.signed(Self.status), Self.status, 401),
                ("POST", "/webhooks/africas-talking/\(talking)", form, Self.report, 200),
                ("POST", "/webhooks/africas-talking/old-at-secret-0000", form, Self.report, 200),
                ("POST", "/webhooks/africas-talking/\(talking)x", form, Self.report, 401),
                ("POST", "/webhooks/africas-talking", form, Self.report, 401), ("GET", "/webhooks/africas-talking/\(talking)", [], nil, 405),
                ("POST", "/webhooks/orange-sms/\(talking)", [], Self.report, 401), ("POST", "/webhooks/nobody", [], Self.report, 404),
            ]
            for (method, path, headers, body, status) in table {
                let answer = try await stage.ask(method, path, headers: headers, body: body)
                #expect(answer.status == status, "\(method) \(path.prefix(60)): \(answer.text)")
            }
            #expect(try await stage.ask("GET", "/webhooks/whatsapp?\(asked)").text == "1158201444")
            let kept = try await stage.listed()
            #expect(kept.count - before == 4)
            #expect(Set(kept.map(\.carrier)) == ["whatsapp", "africas-talking", "orange-sms"] && kept.allSatisfy { $0.mode == "sandbox" })
            #expect(kept.contains { $0.body == Self.status } && kept.contains { $0.body == Self.report }, "the exact bytes")

            // What was refused is on record for staff, without the secret that may once have been good.
            let refused = try await stage.queues.connection.call("LRANGE", "quittance:{refused}:africas-talking", 0, -1).array ?? []
            let texts = refused.compactMap(\.string)
            #expect(texts.count == 2 && texts.allSatisfy { !$0.contains(talking) && !$0.contains("0708091011") })
        }
    }

    @Test("what each carrier says is read; what cannot be is an error")
    func reading() throws {
        func read(_ carrier: String, _ body: String) throws -> [DeliveryReceipt] {
            try MessageCatalog.receipts(
                in: ReceiptPost(carrier: carrier, mode: "live", contentType: "", receivedAtMs: 0, body: Array(body.utf8)))
        }
        #expect(try read("africas-talking", "id=A&status=Success") == [DeliveryReceipt(id: "A", state: .delivered)])
        for word in ["Sent", "Buffered", "Submitted", "Anew"] {
            #expect(try read("africas-talking", "id=A&status=\(word)") == [DeliveryReceipt(id: "A", state: .sent)])
        }
        let failed = try read("africas-talking", "id=A&status=Failed&failureReason=UserInBlackList")
        #expect(failed == [DeliveryReceipt(id: "A", state: .failed, code: "UserInBlackList", detail: "Failed", isOptOut: true)])
        #expect(try read("africas-talking", "id=A&status=AbsentSubscriber&failureReason=None").first?.code == "AbsentSubscriber")
        func orange(_ status: String) -> String {
            #"{"deliveryInfoNotification":{"callbackData":"o-1","deliveryInfo":{"address":"tel:+225","deliveryStatus":"\#(status)"}}}"#
        }
        #expect(try read("orange-sms", orange("DeliveredToTerminal")) == [DeliveryReceipt(id: "o-1", state: .delivered)])
        #expect(try read("orange-sms", orange("DeliveryImpossible")).first?.state == .failed)
        #expect(try read("orange-sms", orange("MessageWaiting")).first?.state == .sent)
        let read = try read("whatsapp", String(decoding: Self.status, as: UTF8.self))
        #expect(read == [DeliveryReceipt(id: "wamid.1", state: .read, atMs: 1_763_712_000_000)])
        let whatsApp =
            #"{"entry":[{"changes":[{"value":{"messages":[{"id":"in"}]}},{"value":{"statuses":[{"id":"w","status":"failed","errors":[{"code":131050,"title":"t"}]},{"id":"x","status":"deleted"}]}}]}]}"#
        let statuses = try MessageCatalog.receipts(
            in: ReceiptPost(carrier: "whatsapp", mode: "live", contentType: "", receivedAtMs: 0, body: Array(whatsApp.utf8)))
        #expect(statuses == [DeliveryReceipt(id: "w", state: .failed, code: "131050", detail: "t", isOptOut: true)])
        for (carrier, body) in [
            ("africas-talking", "status=Success"), ("africas-talking", "%ZZ"), ("orange-sms", "{}"), ("whatsapp", "[]"), ("none", ""),
        ] {
            #expect(throws: (any Error).self) {
                try MessageCatalog.receipts(in: ReceiptPost(carrier: carrier, mode: "live", contentType: "", receivedAtMs: 0, body: Array(body.utf8)))
            }
        }
    }

    @Test("sent by each carrier, told by its receipt, through ingest and Redis: delivered, read, and failed over to the next")
    func wholeWay() async throws {
        try await ReceiptStage.run { receipts in
            try await eventually("ingest uses Redis") { try await receipts.ask("GET", "/readyz").status == 200 }
            try await MessageStage.run(ingestURL: receipts.url) { stage in
                let reading = ReceiptReading(
                    database: stage.domain.database, book: ReceiptBook(outbox: Outbox(slot: "test.0"), carriers: stage.carriers), log: Log(),
                    nowMs: { stage.nowMs })
                let worker = BatchWorker(
                    driver: receipts.queues.driver(of: ReceiptPost.queue), configuration: BatchWorker.Configuration(name: "receipts-test")
                ) { try await reading.read($0) }
                try await worker.start()

                try await stage.play(["read", "code:131026", "code:131026", "failed:131026", "early"], at: "whatsapp")
                try await stage.play(["ok", "code:407", "ok"], at: "africas-talking")
                let messages = (1...5).map { MessageStage.message(cause: "pay_\($0)") }
                for (number, message) in messages.enumerated() {
                    #expect(try await stage.send(message, job: "job_\(number)") == .done)
                }
                func state(_ message: SendNotification) async throws -> String { try await stage.record(message).state }
                try await eventually("WhatsApp says that it was read") { try await state(messages[0]) == "read" }
                try await eventually("Africa's Talking says that it was delivered") { try await state(messages[1]) == "delivered" }
                #expect(try await stage.record(messages[1]).channel == "sms")
                try await eventually("Orange says that it was delivered") { try await state(messages[2]) == "delivered" }
                #expect(try await stage.history(messages[2]).last == "orange-sms delivered")
                // The word that it failed may come before the answer, and then the next carrier is tried in the same job.
                try await eventually("the next carrier delivers what failed") {
                    if let next = try await stage.jobs().first(where: { $0.outcome == nil && $0.kind == SendNotification.kind }) {
                        _ = try await stage.send(messages[3], job: next.id)
                    }
                    return try await state(messages[3]) == "delivered"
                }
                #expect(try await stage.history(messages[3]) == ["whatsapp failed 131026", "africas-talking delivered"])
                try await eventually("a receipt that was before the answer counts") { try await state(messages[4]) == "delivered" }

                // What is no receipt is put aside, and stops nothing.
                try await receipts.queues.driver(of: ReceiptPost.queue).enqueue([EnqueueItem(body: [123])])
                try await eventually("it is dead") { try await receipts.queues.driver(of: ReceiptPost.queue).counts().dead == 1 }
                await worker.stop(by: .now + .seconds(5))
            }
        }
    }

    @Test("many processes keep one pace, by turns in Redis")
    func pace() async throws {
        let redis = try await RedisServer.start()
        let loop = try EventLoop.started(name: "pace-test")
        let queues = RedisQueues(loop: loop, address: redis.address, prefix: "quittance:", name: "pace-test")
        let result: Result<Void, any Error>
        do { result = .success(try await Self.paced(by: queues)) } catch { result = .failure(error) }
        queues.close()
        let ending = BlockingPool(name: "pace-end", threads: 1)
        try await ending.run { loop.stop() }
        ending.close()
        try result.get()
    }

    private static func paced(by queues: RedisQueues) async throws {
        try await MessageStage.run(channels: "whatsapp") { stage in
            let rate = CallRate(perSecond: 0.001, burst: 2)
            var held = 0
            for number in 1...4 {
                let turns = RedisCallTurns(connection: queues.connection, prefix: queues.prefix)
                let gate = CarrierGate(turns: turns, rates: ["whatsapp": rate])
                let message = MessageStage.message(cause: "pay_\(number)")
                if (try? await stage.send(message, job: "job_\(number)", gate: gate)) == nil { held += 1 }
            }
            let taken = try await stage.taken()
            #expect(held == 2 && taken.count == 2)
        }
    }
}
