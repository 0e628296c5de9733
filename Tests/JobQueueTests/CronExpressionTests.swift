import Formats
import JobQueue
import Testing

@Suite("Cron expression")
struct CronExpressionTests {
    private static func ms(_ text: String) -> Int64 { Timestamp.parse(text) ?? 0 }

    static let ticks: [(expression: String, after: String, next: String)] = [
        ("* * * * *", "2026-11-21T08:00:00Z", "2026-11-21T08:01:00Z"),
        ("* * * * *", "2026-11-21T08:00:59.999Z", "2026-11-21T08:01:00Z"),
        ("*/15 * * * *", "2026-11-21T08:46:00Z", "2026-11-21T09:00:00Z"),
        ("5/20 * * * *", "2026-11-21T08:25:00Z", "2026-11-21T08:45:00Z"),
        ("0 2 * * *", "2026-11-21T02:00:00Z", "2026-11-22T02:00:00Z"),
        ("30 6-8,20 * * *", "2026-11-21T08:30:00Z", "2026-11-21T20:30:00Z"),
        ("10-40/15 0 * * *", "2026-11-21T00:25:00Z", "2026-11-21T00:40:00Z"),
        ("0 0 1 * *", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("0 0 31 * *", "2026-11-01T00:00:00Z", "2026-12-31T00:00:00Z"),
        ("0 0 29 2 *", "2026-11-21T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 0 29 FEB */7", "2092-12-31T00:00:00Z", "2128-02-29T00:00:00Z"),
        ("0 9 * * mon-fri", "2026-11-20T09:00:00Z", "2026-11-23T09:00:00Z"),
        ("0 9 * * 7", "2026-11-21T00:00:00Z", "2026-11-22T09:00:00Z"),
        ("0 9 * * fri-sun", "2026-11-21T09:00:00Z", "2026-11-22T09:00:00Z"),
        ("0 0 13 * 5", "2026-11-07T00:00:00Z", "2026-11-13T00:00:00Z"),
        ("0 0 13 * 5", "2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z"),
        ("0 0 */2 * mon", "2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z"),
        ("@hourly", "2026-11-21T08:00:00Z", "2026-11-21T09:00:00Z"),
        ("@daily", "2026-12-31T23:59:00Z", "2027-01-01T00:00:00Z"),
        ("@weekly", "2026-11-21T08:00:00Z", "2026-11-22T00:00:00Z"),
        ("@monthly", "2026-11-21T08:00:00Z", "2026-12-01T00:00:00Z"),
        ("@annually", "2026-11-21T08:00:00Z", "2027-01-01T00:00:00Z"),
        ("0 0 1 1 *", "1969-06-01T00:00:00Z", "1970-01-01T00:00:00Z"),
    ]

    @Test("the next tick is the first one later", arguments: ticks)
    func next(_ tick: (expression: String, after: String, next: String)) throws {
        let cron = try CronExpression(tick.expression)
        #expect(cron.next(after: Self.ms(tick.after)).map(Timestamp.rfc3339) == Timestamp.rfc3339(Self.ms(tick.next)))
    }

    @Test("walking back over the ticks meets the same ones as walking forth")
    func previous() throws {
        for expression in ["*/7 3,17 * * *", "15 4 10-20/3 * *", "0 12 * * tue,thu", "59 23 28-31 2,6 *"] {
            let cron = try CronExpression(expression)
            var at = Self.ms("2026-11-21T08:00:30Z")
            for _ in 0..<50 {
                let tick = try #require(cron.next(after: at))
                #expect(cron.previousOrAt(tick) == tick)
                #expect(cron.previousOrAt(tick + 59_999) == tick)
                let before = try #require(cron.previousOrAt(tick - 1))
                #expect(before < tick && cron.next(after: before) == tick)
                at = tick
            }
        }
    }

    @Test("a day that never comes has no tick")
    func never() throws {
        let cron = try CronExpression("0 0 30 2 *")
        #expect(cron.next(after: 0) == nil)
        #expect(cron.previousOrAt(Self.ms("2026-11-21T08:00:00Z")) == nil)
    }

    static let refusals: [(text: String, field: String)] = [
        ("", ""), ("* * * *", ""), ("* * * * * *", ""), ("60 * * * *", "minute"), ("-1 * * * *", "minute"), ("+5 * * * *", "minute"),
        ("* 24 * * *", "hour"), ("* * 0 * *", "day of month"), ("* * 32 * *", "day of month"), ("* * * 13 *", "month"),
        ("* * * foo *", "month"), ("* * * * 8", "day of week"), ("*/0 * * * *", "minute"), ("*/x * * * *", "minute"),
        ("5-1 * * * *", "minute"), ("1,,2 * * * *", "minute"), ("1- * * * *", "minute"), ("@noon", "name"), ("٣ * * * *", "minute"),
    ]

    @Test("what is no schedule is refused, naming the field", arguments: refusals)
    func refused(_ refusal: (text: String, field: String)) {
        #expect { try CronExpression(refusal.text) } throws: { ($0 as? CronError)?.field == refusal.field }
    }
}
