import Database
import Formats
import JobQueue
import MessagePort
import Money
import NotificationDelivery
import Notifications
import Outbox
import Payments
import PrivateFiles
import ProviderPort
import Telemetry
import TestSupport
import Testing

@Suite("Messages by the channels of a person, at played carriers and a real mail server")
struct ChannelTests {
    private typealias Stage = MessageStage

    @Test("a message goes by the first channel of the order that reaches the person")
    func order() async throws {
        try await Stage.run { stage in
            let message = Stage.message()
            #expect(try await stage.send(message) == .done)
            // The same job again, and another one for the same message.
            #expect(try await stage.send(message) == .done)
            #expect(try await stage.send(message, job: "job_2") == .done)
            let taken = try await stage.taken()
            #expect(taken.count == 1 && taken.first?["carrier"] == "whatsapp" && taken.first?["template"] == "payment_confirmed")
            #expect(taken.first?["text"]?.string?.hasPrefix("12 500 XOF | Kit Complet | pay_") == true)
            #expect(taken.first?["to"]?.string?.contains("0708091") == false, "the sandbox lists a whole telephone number")
            let record = try await stage.record(message)
            #expect(record.state == "sent" && record.channel == "whatsapp" && record.attempts == 1 && record.error == nil)
            #expect(try await stage.history(message) == ["whatsapp accepted"])

            let byMail = Stage.message(phone: nil, cause: "pay_2")
            #expect(try await stage.send(byMail, job: "job_3") == .done)
            #expect(try await stage.mail.waitForMessages().count == 1)
            #expect(try await stage.record(byMail).channel == "email")
            let bySMS = Stage.message(email: nil, cause: "pay_3")
            try await stage.play(["code:131026"], at: "whatsapp")
            #expect(try await stage.send(bySMS, job: "job_4") == .done)
            #expect(try await stage.record(bySMS).recipient == Stage.number)
        }
    }

    @Test("who is not on WhatsApp gets an SMS, by another carrier where the first finds no way, and a mail where none does")
    func fallback() async throws {
        try await Stage.run { stage in
            try await stage.play(["code:131026", "code:131026"], at: "whatsapp")
            try await stage.play(["code:407", "code:407"], at: "africas-talking")
            try await stage.play(["ok", "code:POL0001"], at: "orange-sms")
            let first = Stage.message()
            #expect(try await stage.send(first) == .done)
            #expect(try await stage.history(first) == ["whatsapp refused 131026", "africas-talking refused 407", "orange-sms accepted"])
            let text = try await stage.taken(by: "orange-sms").first?["text"]?.string ?? ""
            #expect(text.hasPrefix("Votre paiement de 12 500 XOF pour Kit Complet est bien arrivé. Référence pay_") && ShortText.isGSM(text))
            #expect(try stage.mail.received().isEmpty)

            let second = Stage.message(cause: "pay_2")
            #expect(try await stage.send(second, job: "job_2") == .done)
            #expect(try await stage.history(second).last == "smtp accepted")
            #expect(try await stage.mail.waitForMessages().first?.subject == "Paiement reçu : Kit Complet")
            let record = try await stage.record(second)
            #expect(record.state == "sent" && record.channel == "email" && record.error == nil)
        }
    }

    @Test("a number that one carrier calls wrong is asked of no other; with no channel left the message is refused and its job buried")
    func wrongNumber() async throws {
        try await Stage.run { stage in
            try await stage.play(["code:131026"], at: "whatsapp")
            try await stage.play(["code:403"], at: "africas-talking")
            let message = Stage.message(email: nil)
            let failure = await #expect(throws: JobFailure.self) { try await stage.send(message) }
            #expect(failure?.disposition == .bury && failure?.reason.contains("403") == true)
            #expect(try await stage.history(message) == ["whatsapp refused 131026", "africas-talking refused 403"])
            let record = try await stage.record(message)
            #expect(record.state == "refused" && record.error?.contains("whatsapp") == true && record.error?.contains("0708091011") == false)
            // Staff have looked, and have the job run again: everybody is asked anew.
            #expect(try await stage.send(message, job: "job_2") == .done)
            #expect(try await stage.record(message).state == "sent")
        }
    }

    @Test("who can be reached on no channel at all is nobody's fault: the message is refused, its job skipped")
    func unreachable() async throws {
        try await Stage.run(channels: "email") { stage in
            let message = Stage.message(email: nil)
            let reason = "there is no channel on which the person can be reached"
            #expect(try await stage.send(message) == .skipped(reason: reason))
            let record = try await stage.record(message)
            #expect(record.state == "refused" && record.error == reason)
            #expect(try await stage.jobs().first?.outcome == .skipped)
        }
    }

    @Test("a person who has said no on a channel is not asked there again, on no account; who says yes again is")
    func optOuts() async throws {
        try await Stage.run { stage in
            try await stage.play(["code:131050"], at: "whatsapp")
            try await stage.play(["code:406"], at: "africas-talking")
            #expect(try await stage.send(Stage.message()) == .done)
            let list = try await stage.domain.database.read { try OptOut.list(in: $0) }
            #expect(Set(list.map(\.channel)) == [.whatsapp, .sms] && list.allSatisfy { !$0.address.contains("0708091") })
            #expect(Set(list.map(\.source)) == ["whatsapp 131050", "africas-talking 406"])

            let second = Stage.message(cause: "pay_2")
            #expect(try await stage.send(second, job: "job_2") == .done)
            #expect(try await stage.history(second) == ["smtp accepted"])
            _ = try await stage.domain.database.write { try OptOut.lift("+225 07 08 09 10 11", on: .sms, in: $0) }
            let third = Stage.message(cause: "pay_3")
            #expect(try await stage.send(third, job: "job_3") == .done)
            #expect(try await stage.history(third) == ["africas-talking accepted"])
        }
    }

    @Test("a carrier whose keys are refused is stopped: messages pass it by, wait where there is no other, and it is tried again later")
    func stopped() async throws {
        try await Stage.run { stage in
            try await stage.play(["code:190"], at: "whatsapp")
            let first = Stage.message()
            #expect(try await stage.send(first) == .done)
            #expect(try await stage.history(first) == ["whatsapp down 190", "africas-talking accepted"])
            let now = stage.nowMs
            let stops = try await stage.domain.database.read { try CarrierStop.list(nowMs: now, in: $0) }
            #expect(stops.map(\.carrier) == ["whatsapp"] && stops.first?.code == "190" && stops.first?.untilMs == now + 900_000)

            let second = Stage.message(cause: "pay_2")
            #expect(try await stage.send(second, job: "job_2") == .done)
            #expect(try await stage.history(second) == ["africas-talking accepted"])
            stage.turn(.seconds(901))
            let third = Stage.message(cause: "pay_3")
            #expect(try await stage.send(third, job: "job_3") == .done)
            #expect(try await stage.history(third) == ["whatsapp accepted"])
            #expect(try await stage.domain.database.read { try CarrierStop.list(nowMs: 0, in: $0) }.isEmpty)
        }
        try await Stage.run(channels: "whatsapp") { stage in
            try await stage.play(["code:131042"], at: "whatsapp")
            let message = Stage.message()
            let failure = await #expect(throws: JobFailure.self) { try await stage.send(message) }
            #expect(failure?.disposition == .snooze(.seconds(900)), "no attempt is spent while the carrier is stopped")
            #expect(try await stage.record(message).state == "pending")
        }
    }

    @Test("a template that Meta has paused stops that template only")
    func templateStopped() async throws {
        try await Stage.run { stage in
            try await stage.play(["code:132015"], at: "whatsapp")
            #expect(try await stage.send(Stage.message()) == .done)
            let same = Stage.message(cause: "pay_2")
            #expect(try await stage.send(same, job: "job_2") == .done)
            #expect(try await stage.history(same) == ["africas-talking accepted"])
            let other = Stage.message(.paymentRefunded, cause: "pay_3")
            #expect(try await stage.send(other, job: "job_3") == .done)
            #expect(try await stage.history(other) == ["whatsapp accepted"])
        }
    }

    @Test("a temporary refusal is tried again there; when it lasts and another channel is left, that one has its turn")
    func temporary() async throws {
        try await Stage.run { stage in
            try await stage.play(["http:503", "code:131056", "http:500"], at: "whatsapp")
            let message = Stage.message()
            let first = await #expect(throws: JobFailure.self) { try await stage.send(message) }
            #expect(first?.disposition == .retry(after: .seconds(2)), "Retry-After is obeyed")
            let second = await #expect(throws: JobFailure.self) { try await stage.send(message) }
            #expect(second?.disposition == .retry(after: .seconds(6)))
            stage.turn(.seconds(700))
            #expect(try await stage.send(message) == .done)
            #expect(try await stage.history(message) == ["whatsapp retry http-503", "whatsapp retry 131056", "africas-talking accepted"])
            #expect(try await stage.record(message).attempts == 3)
        }
    }

    @Test("a code that allows few retries is as good as a refusal after them")
    func fewRetries() async throws {
        try await Stage.run { stage in
            try await stage.play(["code:1", "code:1"], at: "whatsapp")
            let message = Stage.message()
            let first = await #expect(throws: JobFailure.self) { try await stage.send(message) }
            #expect(first?.disposition == .retry(after: nil))
            #expect(try await stage.send(message) == .done)
            #expect(try await stage.history(message) == ["whatsapp retry 1", "whatsapp refused 1", "africas-talking accepted"])
        }
    }

    @Test("a call whose answer is lost is made once more, and never a third time: then the message is unknown, and nobody sends it again")
    func unknown() async throws {
        try await Stage.run { stage in
            try await stage.play(["lost", "lost"], at: "whatsapp")
            let message = Stage.message()
            let first = await #expect(throws: JobFailure.self) { try await stage.send(message) }
            #expect(first?.disposition == .retry(after: nil))
            #expect(try await stage.send(message) == .done)
            #expect(try await stage.send(message, job: "job_2") == .done)
            #expect(try await stage.taken().count == 2)
            #expect(try await stage.record(message).state == "unknown")
            #expect(try await stage.jobs().allSatisfy { $0.outcome == .done })
        }
    }

    @Test("a program that died in a call counts as a call whose answer is lost")
    func died() async throws {
        try await Stage.run { stage in
            let message = Stage.message()
            let whatsApp = try #require(stage.carriers.first)
            let now = stage.nowMs
            for _ in 0..<2 {
                try await stage.domain.database.write { connection in
                    let record = try NotificationRecord.intend(
                        message, subject: "s", host: "h", payment: nil, job: "job_0", nowMs: now, in: connection)
                    _ = try NotificationTry.begin(record, by: whatsApp, tries: [], nowMs: now, in: connection)
                }
            }
            #expect(try await stage.send(message) == .done)
            #expect(try await stage.taken().isEmpty)
            #expect(try await stage.record(message).state == "unknown")
        }
    }

    @Test("what is of no use any more is not sent")
    func late() async throws {
        try await Stage.run { stage in
            try await stage.play(["http:503"], at: "whatsapp")
            let message = Stage.message()
            await #expect(throws: JobFailure.self) { try await stage.send(message) }
            stage.turn(.seconds(86_401))
            let outcome = try await stage.send(message)
            guard case .skipped(let reason) = outcome else { return #expect(outcome == .done, "it is skipped") }
            #expect(reason.hasPrefix("too late"))
            #expect(try await stage.taken().isEmpty)
            #expect(try await stage.record(message).state == "late")
            #expect(try await stage.jobs().first?.outcome == .skipped)
        }
    }

    @Test("a message with a file goes by the channel that carries it, whatever the order")
    func files() async throws {
        try await Stage.run { stage in
            try await stage.files.write(Array("%PDF-1.7".utf8), to: "invoices/EX-1.pdf")
            let file = SendNotification.Attachment(path: "invoices/EX-1.pdf", name: "EX-1.pdf", contentType: "application/pdf")
            #expect(try await stage.send(Stage.message(.invoice, attachments: [file])) == .done)
            #expect(try await stage.mail.waitForMessages().first?.attachments.first?.bytes == Array("%PDF-1.7".utf8))
            let bySMS = Stage.message(.invoice, email: nil, cause: "EX-1", attachments: [file])
            #expect(try await stage.send(bySMS, job: "job_2") == .done)
            #expect(try await stage.history(bySMS) == ["whatsapp accepted"])
        }
    }

    @Test("calls are kept from a carrier that is ill, and to the pace it takes; neither spends an attempt")
    func gate() async throws {
        try await Stage.run(channels: "whatsapp,email") { stage in
            let breakers = InMemoryBreakers()
            let breaker = CircuitBreaker(
                dependency: CarrierGate.dependency("whatsapp"), store: breakers, rule: BreakerRule(failures: 2, within: .seconds(60)),
                random: { 0 }, isIllness: CarrierGate.isIllness)
            let gate = CarrierGate(breakers: ["whatsapp": breaker])
            try await stage.play(["http:500", "http:500"], at: "whatsapp")
            for number in 1...2 {
                await #expect(throws: JobFailure.self) {
                    try await stage.send(Stage.message(cause: "ill_\(number)"), job: "job_\(number)", gate: gate)
                }
            }
            let held = Stage.message(cause: "ill_3")
            let open = await #expect(throws: BreakerOpen.self) { try await stage.send(held, job: "job_3", gate: gate) }
            #expect(open?.jobDisposition == .snooze(open?.retryAfter ?? .zero))
            #expect(try await stage.history(held) == ["whatsapp held"])
            // It lasts: the mail server has its turn.
            stage.turn(.seconds(601))
            #expect(try await stage.send(held, job: "job_3", gate: gate) == .done)
            #expect(try await stage.history(held) == ["whatsapp held", "smtp accepted"])

            let pace = CarrierGate(turns: InMemoryCallTurns(), rates: ["whatsapp": CallRate(perSecond: 0.01, burst: 1)])
            _ = try? await stage.send(Stage.message(cause: "pace_1"), job: "job_4", gate: pace)
            let second = Stage.message(cause: "pace_2")
            await #expect(throws: (any Error).self) { try await stage.send(second, job: "job_5", gate: pace) }
            #expect(try await stage.history(second) == ["whatsapp held"])
        }
    }

    @Test("the message says how often its link works", arguments: [(Int64(1), "sert une seule fois, jusqu’au"), (3, "sert 3 fois, jusqu’au")])
    func uses(count: Int64, words: String) async throws {
        try await Stage.run(channels: "email") { stage in
            let payment = try await stage.domain.payment("kit", subject: "inq_1", amount: Money(12_500, .xof))
            let expires = stage.nowMs + 2_700_000
            let linking = MessageLinking(downloads: { _, _, _ in .good(url: "https://pay.example.com/d", expiresAtMs: expires, uses: count) })
            let request = try #require(try SendNotification.published(download: "dl_1", for: payment).first)
            let message = try request.envelope(id: "job_1", nowMs: stage.nowMs).parameters(as: SendNotification.self)
            #expect(try await stage.send(message, payment: payment.id, linking: linking) == .done)
            let mail = try #require(try await stage.mail.waitForMessages().first)
            #expect(mail.text?.contains(words) == true, "\(mail.text ?? "")")
        }
    }

    @Test("the link of a download is signed where it is sent; one that is over is not sent, and is a task for staff")
    func downloads() async throws {
        try await Stage.run(channels: "email") { stage in
            let payment = try await stage.domain.payment("kit", subject: "inq_1", amount: Money(12_500, .xof))
            let expires = stage.nowMs + 2_700_000
            let linking = MessageLinking(downloads: { download, _, _ in
                .good(url: "https://pay.example.com/downloads/\(download)-token", expiresAtMs: expires)
            })
            let requests = try SendNotification.published(download: "dl_1", for: payment)
            let request = try #require(requests.first)
            #expect(request.payment == payment.id && !request.args.text.contains("token"))
            let message = try request.envelope(id: "job_1", nowMs: stage.nowMs).parameters(as: SendNotification.self)
            #expect(try await stage.send(message, payment: payment.id, linking: linking) == .done)
            let mail = try #require(try await stage.mail.waitForMessages().first)
            #expect(mail.text?.contains("https://pay.example.com/downloads/dl_1-token") == true && mail.text?.contains("à 10:45 UTC") == true)
            #expect(mail.html?.contains("<a href=\"https://pay.example.com/downloads/dl_1-token\">") == true)
            #expect(try await stage.tasks().isEmpty)

            stage.turn(.seconds(2701))
            let again = try #require(try SendNotification.published(download: "dl_2", for: payment).first)
            let late = try again.envelope(id: "job_2", nowMs: stage.nowMs).parameters(as: SendNotification.self)
            #expect(
                try await stage.send(late, job: "job_2", payment: payment.id, linking: linking) == .skipped(reason: "too late: the link has expired"))
            #expect(try await stage.record(late).state == "failed")
            let task = try #require(try await stage.tasks().first)
            #expect(task.kind == SendNotification.reissueTask && task.payment == payment.id && task.detail.contains("dl_2"))
            #expect(try stage.mail.received().count == 1)
        }
    }

    @Test("a link that was used, taken back or replaced while its message waited is not sent, and nobody's task")
    func settledDownloads() async throws {
        try await Stage.run(channels: "email") { stage in
            let payment = try await stage.domain.payment("kit", subject: "inq_1", amount: Money(12_500, .xof))
            let linking = MessageLinking(downloads: { download, _, _ in .settled(reason: "download \(download) is revoked") })
            let request = try #require(try SendNotification.published(download: "dl_1", for: payment).first)
            let message = try request.envelope(id: "job_1", nowMs: stage.nowMs).parameters(as: SendNotification.self)
            let outcome = try await stage.send(message, payment: payment.id, linking: linking)
            #expect(outcome == .skipped(reason: "too late: download dl_1 is revoked"))
            #expect(try await stage.record(message).state == "late")
            #expect(try await stage.tasks().isEmpty)
            #expect(try stage.mail.received().isEmpty)
        }
    }

    @Test("a payment that fails is told to its customer, unless it is paid by then")
    func failedPayments() async throws {
        try await Stage.run { stage in
            let payment = try await stage.domain.payment("order", subject: "o", amount: Money(5000, .xof), state: .created)
            try await stage.domain.tell(.failed, of: payment.id)
            let row = try await stage.domain.database.read {
                try $0.first("SELECT id, args, payment FROM outbox_jobs WHERE kind = 'notification.send'")
            }
            let job = try #require(row)
            #expect(try job.textOrNil("payment") == nil)
            let message = try JSON(parsing: try job.text("args")).decode(SendNotification.self)
            #expect(message.template == .paymentFailed && message.standing?.states == ["failed"])
            #expect(try await stage.send(message, job: "job_1") == .done)
            #expect(try await stage.mail.waitForMessages().first?.subject == "Paiement échoué : A thing")

            try await stage.domain.tell(.captured, of: payment.id)
            let later = SendNotification(
                template: .paymentFailed, recipient: "other@example.org", language: "fr", values: message.values, cause: "x",
                standing: message.standing)
            #expect(try await stage.send(later, job: "job_2") == .skipped(reason: "payment is paid"))
        }
    }

    @Test("a payment link is signed where it is sent, for a payment that still waits")
    func paymentLinks() async throws {
        try await Stage.run(channels: "email") { stage in
            let payment = try await stage.domain.payment("order", subject: "o", amount: Money(5000, .xof), state: .created)
            let linking = MessageLinking(payments: { payment, nowMs, _ in
                .good(url: "https://pay.example.com/pay/for-\(payment)", expiresAtMs: nowMs + 1000)
            })
            let request = try #require(try SendNotification.paymentLink(to: payment, cause: "staff").first)
            let message = try request.envelope(id: "job_1", nowMs: stage.nowMs).parameters(as: SendNotification.self)
            #expect(try await stage.send(message, linking: linking) == .done)
            #expect(try await stage.mail.waitForMessages().first?.text?.contains("https://pay.example.com/pay/for-\(payment.id)") == true)
            #expect(
                try await stage.send(Stage.message(.paymentLink, cause: "2", link: .init(.payment, payment.id)), job: "job_2")
                    == .skipped(reason: "too late: no link can be signed: SECRET_KEY is not set"))
        }
    }
}
