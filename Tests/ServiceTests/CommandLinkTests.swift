import Access
import Database
import Formats
import JobQueue
import OperatorCommands
import Payments
import TestSupport
import Testing

@Suite("quittance link")
struct CommandLinkTests {
    private static let secret = "0123456789abcdef0123456789abcdef"

    @Test("makes a link that the web takes, for as long as told, and takes back those that were made")
    func makesAndRevokes() async throws {
        let stage = try await CommandStage.make(["SECRET_KEY": Self.secret, "BASE_URL": "https://pay.example.com"])
        let payment = try await stage.orderKit().payment
        let made = await stage.run("link", "make", payment)
        #expect(made.code == .ok)
        let lines = made.out.split(separator: "\n")
        #expect(lines.first?.hasPrefix("https://pay.example.com/pay/") == true)
        #expect(lines.last == "Good until 2026-11-28T08:00:00.000Z.")
        let token = try #require(lines.first?.split(separator: "/").last.map(String.init))
        let grant = try #require(PaymentLink(secret: Self.secret).read(token))
        #expect(grant == PaymentLink.Grant(purpose: .pay, payment: payment, generation: 0, expiresAtMs: CommandStage.startMs + 7 * 86_400_000))

        let watch = try await stage.json("link", "make", payment, "--hours", "2", "--watch", "--json")
        #expect(watch["purpose"]?.string == "watch")
        #expect(watch["expires_at"]?.string == "2026-11-21T10:00:00.000Z")

        #expect(await stage.run("link", "revoke", payment).code == .ok)
        let later = try await stage.json("link", "make", payment, "--json")["url"]?.string
        let next = try #require(later?.split(separator: "/").last.map(String.init))
        #expect(PaymentLink(secret: Self.secret).read(next)?.generation == 1)
    }

    @Test("sends a link to the customer: a job that holds none, once for each call, for a payment that can be paid")
    func sends() async throws {
        let stage = try await CommandStage.make(redis: true, ["SECRET_KEY": Self.secret])
        let payment = try await stage.orderKit().payment
        #expect(
            await stage.run("link", "send", payment) == CommandResult(code: .ok, out: "a link to \(payment) is on its way to its customer\n", err: "")
        )
        try await stage.withQueue("notifications") { driver in
            let job = try JobEnvelope(decoding: try #require(try await driver.peek(limit: 1).first))
            #expect(job.kind == "notification.send" && job.payment == nil && job.args["template"] == "payment_link")
            #expect(job.args["link"] == ["kind": "payment", "id": .string(payment)] && !job.args.text.contains("/pay/"))
        }
        #expect(await stage.run("link", "send", "pay_none").code == .notFound)
        let unsigned = try await CommandStage.make()
        #expect(await unsigned.run("link", "send", payment).err.contains("SECRET_KEY is not set"))
        try await stage.write { try $0.execute("UPDATE payments_payments SET state = 'paid'") }
        #expect(await stage.run("link", "send", payment).err.contains("is paid: there is nothing to pay"))
    }

    @Test("a link that is made or sent counts as a move of its payment, whose files then wait for it; one to look does not, nor one of a paid one")
    func moves() async throws {
        let stage = try await CommandStage.make(redis: true, ["SECRET_KEY": Self.secret])
        let payment = try await stage.orderKit().payment
        func moved() async throws -> Int64 { try await stage.write { try PaymentStore.require(payment, in: $0).updatedAtMs } }
        let start = try await moved()
        stage.turn(byMs: 60_000)
        #expect(await stage.run("link", "make", payment, "--watch").code == .ok)
        #expect(try await moved() == start)
        #expect(await stage.run("link", "make", payment).code == .ok)
        #expect(try await moved() == stage.nowMs)
        stage.turn(byMs: 60_000)
        #expect(await stage.run("link", "send", payment).code == .ok)
        let sent = try await moved()
        #expect(sent == stage.nowMs)
        try await stage.write { try $0.execute("UPDATE payments_payments SET state = 'paid'") }
        stage.turn(byMs: 60_000)
        #expect(await stage.run("link", "make", payment).code == .ok)
        #expect(try await moved() == sent)
    }

    @Test("refuses a payment that is not there, a life that is too long, and to sign without a secret")
    func refusals() async throws {
        let stage = try await CommandStage.make(["SECRET_KEY": Self.secret])
        let payment = try await stage.orderKit().payment
        #expect(
            await stage.run("link", "make", "pay_none")
                == CommandResult(
                    code: .notFound, out: "", err: "quittance link make: there is no payment pay_none\n"))
        #expect(await stage.run("link", "revoke", "pay_none").code == .notFound)
        #expect(await stage.run("link", "make", payment, "--hours", "2161").code == .usage)
        let unsigned = try await CommandStage.make()
        let other = try await unsigned.orderKit().payment
        let refused = await unsigned.run("link", "make", other)
        #expect(refused.code == .failed && refused.err.contains("SECRET_KEY is not set"))
    }
}
