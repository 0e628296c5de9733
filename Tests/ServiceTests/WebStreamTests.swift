import Database
import EventLoop
import Formats
import HTTPServer
import Payments
import TestSupport
import Testing
import WebService

@Suite("Watching a payment by server-sent events")
struct WebStreamTests {
    /// Runs with a loop that reads for listeners.
    private func listening(
        streams: StreamLimits = StreamLimits(), _ body: (WebStage, EventLoop) async throws -> Void
    ) async throws {
        let loop = try EventLoop.started(name: "listeners")
        let outcome: Result<Void, any Error>
        do {
            try await WebStage.with(streams: streams) { stage in try await body(stage, loop) }
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        let ending = BlockingPool(name: "listeners end", threads: 1)
        try? await ending.run { loop.stop() }
        ending.close()
        try outcome.get()
    }

    @Test("the first event is the present state, then comes each change, and the end of the payment ends the stream")
    func changes() async throws {
        try await listening { stage, loop in
            let payment = try await stage.order()
            let path = try await stage.link(to: payment)
            let customer = try EventListener(stage.address, "\(path)/events", on: loop)
            let program = try EventListener(
                stage.address, "/api/v1/payments/\(payment)/events/", headers: ["authorization": "Bearer \(stage.key)"], on: loop)
            let other = try EventListener(stage.address, "\(try await stage.link(to: try await stage.order("order-2")))/events", on: loop)
            for listener in [customer, program, other] {
                try await eventually("the present state is told") { listener.statuses == ["created"] }
                #expect(listener.status == 200)
                #expect(listener.text.contains("text/event-stream"))
                #expect(listener.text.contains("retry: "))
            }
            #expect(customer.text.lowercased().contains("access-control-allow-origin: *"))
            #expect(!program.text.lowercased().contains("access-control-allow-origin"))
            _ = try await stage.form("\(path)/pay/cinetpay", [])
            try await eventually("the start is told") { customer.statuses == ["created", "pending"] && program.statuses.count == 2 }
            _ = try await stage.play("pay", ["reference": .string(payment)])
            for listener in [customer, program] {
                try await eventually("paid is told, and it ends") { listener.isOver }
                #expect(listener.statuses == ["created", "pending", "paid"])
                #expect(listener.events.map(\.isFinal) == [false, false, true])
                let ids = listener.events.compactMap { Int64($0.id) }
                #expect(ids.count == 3 && ids == ids.sorted())
            }
            #expect(other.statuses == ["created"] && !other.isOver)
        }
    }

    @Test("who comes back with the last event's id misses nothing, and is told to stop when nothing more is to come")
    func resuming() async throws {
        try await listening { stage, loop in
            let payment = try await stage.order()
            let path = try await stage.link(to: payment)
            let first = try EventListener(stage.address, "\(path)/events", on: loop)
            try await eventually("the present state is told") { first.statuses == ["created"] }
            first.leave()
            _ = try await stage.form("\(path)/pay/cinetpay", [])
            _ = try await stage.play("pay", ["reference": .string(payment)])
            try await eventually("the payment is paid") { try await stage.get("/api/v1/payments/\(payment)/").string("status") == "paid" }
            let back = try EventListener(
                stage.address, "\(path)/events", headers: ["last-event-id": first.events[0].id, "connection": "close"], on: loop)
            try await eventually("the end is told at once") { back.isOver }
            #expect(back.statuses == ["paid"])
            let again = try await stage.send("GET", "\(path)/events", headers: ["last-event-id": back.events[0].id])
            #expect(again.status == 204)
        }
    }

    @Test("whoever has no key, no token or no payment gets no stream")
    func refusals() async throws {
        try await WebStage.with { stage in
            let payment = try await stage.order()
            #expect(try await stage.send("GET", "/api/v1/payments/\(payment)/events/").status == 401)
            #expect(try await stage.get("/api/v1/payments/pay_none/events/").status == 404)
            #expect(try await stage.send("GET", "/pay/none/events").status == 404)
        }
    }

    @Test("there is room for so many of an address, of a payment and in all; who leaves makes room")
    func room() async throws {
        var limits = StreamLimits()
        (limits.total, limits.perCaller, limits.perPayment) = (6, 4, 3)
        try await listening(streams: limits) { stage, loop in
            let paths = [
                "\(try await stage.link(to: try await stage.order("order-1")))/events",
                "\(try await stage.link(to: try await stage.order("order-2")))/events",
                "\(try await stage.link(to: try await stage.order("order-3")))/events",
            ]
            func listen(_ place: Int, from address: String) throws -> EventListener {
                try EventListener(stage.address, paths[place], headers: ["x-forwarded-for": address], on: loop)
            }
            var open: [EventListener] = []
            for _ in 0..<3 { open.append(try listen(0, from: "203.0.113.1")) }
            try await eventually("three watch one payment") { open.allSatisfy { $0.statuses == ["created"] } }
            let fourth = try listen(0, from: "203.0.113.2")
            try await eventually("a fourth is refused") { fourth.status == 429 }
            #expect(fourth.text.lowercased().contains("retry-after: 60"))
            open.append(try listen(1, from: "203.0.113.1"))
            try await eventually("another payment is watched") { open[3].statuses == ["created"] }
            let fifth = try listen(1, from: "203.0.113.1")
            try await eventually("the address has had its share") { fifth.status == 429 }
            for _ in 0..<2 { open.append(try listen(1, from: "203.0.113.2")) }
            try await eventually("six watch") { open.allSatisfy { $0.statuses == ["created"] } }
            let seventh = try listen(2, from: "203.0.113.3")
            try await eventually("there is no room for a seventh") { seventh.status == 429 }
            open[0].leave()
            try await eventually("who leaves makes room") {
                let next = try listen(2, from: "203.0.113.3")
                try await eventually(within: .seconds(2), "an answer") { next.status != 0 }
                defer { open.append(next) }
                return next.status == 200
            }
        }
    }

    @Test("a stream is kept alive while nothing happens, and ends when it has lasted long enough")
    func lifetime() async throws {
        var limits = StreamLimits()
        (limits.heartbeat, limits.lifetime, limits.tick) = (.milliseconds(100), .seconds(3).stretched, .milliseconds(50))
        try await listening(streams: limits) { stage, loop in
            let path = try await stage.link(to: try await stage.order())
            let listener = try EventListener(stage.address, "\(path)/events", on: loop)
            try await eventually("its time is over") { listener.isOver }
            #expect(listener.statuses == ["created"])
            #expect(listener.text.split(separator: ": \n\n").count > 1)
        }
    }

    @Test("five hundred idle watchers leave the API quick, hear of their payment at once, and are gone when the server stops")
    func many() async throws {
        var limits = StreamLimits()
        (limits.perCaller, limits.perPayment) = (1000, 1000)
        try await listening(streams: limits) { stage, loop in
            let payment = try await stage.order()
            let path = try await stage.link(to: payment)
            let quiet = try await stage.link(to: try await stage.order("order-2"))
            let watchers = try (0..<400).map { place in
                try EventListener(stage.address, "\(quiet)/events", headers: ["x-forwarded-for": "203.0.113.\(place % 4)"], on: loop)
            }
            let waiting = try (0..<100).map { _ in try EventListener(stage.address, "\(path)/events", on: loop) }
            try await eventually("five hundred watch") { (watchers + waiting).allSatisfy { $0.statuses == ["created"] } }
            let silent = try EventListener(stage.address, "\(quiet)/events", on: loop, reads: false)
            let began = ContinuousClock.now
            for _ in 0..<50 { #expect(try await stage.get("/api/v1/payments/\(payment)/").status == 200) }
            #expect(ContinuousClock.now - began < Duration.seconds(15).stretched)
            _ = try await stage.form("\(path)/pay/cinetpay", [])
            try await eventually("all who wait are told") { waiting.allSatisfy { $0.statuses == ["created", "pending"] } }
            #expect(watchers.allSatisfy { $0.statuses == ["created"] })
            let stopping = ContinuousClock.now
            await stage.web.stop(by: stopping.advanced(by: .seconds(10)))
            #expect(ContinuousClock.now - stopping < Duration.seconds(5).stretched)
            try await eventually("every stream has ended") { (watchers + waiting).allSatisfy(\.isOver) }
            withExtendedLifetime(silent) {}
        }
    }
}
