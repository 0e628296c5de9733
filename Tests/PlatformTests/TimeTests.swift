import Testing

@testable import Formats

@Suite("Times") struct TimeTests {
    @Test(
        "are written and read by RFC 3339",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"), (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"), (1_795_248_000_000, "2026-11-21T08:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"), (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
        ] as [(Int64, String)])
    func both(ms: Int64, text: String) {
        #expect(Timestamp.rfc3339(ms) == text)
        #expect(Timestamp.parse(text) == ms)
    }

    @Test(
        "are read in their other spellings",
        arguments: [
            ("2026-11-21T08:00:00Z", 1_795_248_000_000), ("2026-11-21t08:00:00.5z", 1_795_248_000_500),
            ("2026-11-21 09:30:00+01:30", 1_795_248_000_000),
            ("2026-11-20T20:00:00-12:00", 1_795_248_000_000), ("2026-11-21T08:00:00.123456789Z", 1_795_248_000_123),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ] as [(String, Int64)])
    func spellings(text: String, ms: Int64) { #expect(Timestamp.parse(text) == ms) }

    @Test(
        "that no calendar knows are refused",
        arguments: [
            "", "2026-11-21", "2026-11-21T08:00:00", "2026-11-21T08:00Z", "2023-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z", "2026-04-31T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+1:00", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00Z ",
            "+026-01-01T00:00:00Z", "2026-1-01T00:00:00Z", "2026-01-01X00:00:00Z", "0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01",
            "２０２６-01-01T00:00:00Z",
        ])
    func refused(text: String) { #expect(Timestamp.parse(text) == nil) }

    @Test("go through the calendar and back for every day of four centuries")
    func everyDay() {
        var month = 1
        var day = 1
        var year = 1900
        var ms = Timestamp.ms(year: 1900, month: 1, day: 1)
        // 1900-01-01 was a Monday.
        var weekday = 1
        while year < 2301 {
            let civil = Timestamp.civil(ms + 3_723_004)
            let expected = CivilTime(year: year, month: month, day: day, hour: 1, minute: 2, second: 3, millisecond: 4, weekday: weekday)
            guard civil == expected, Timestamp.ms(year: year, month: month, day: day) == ms else {
                Issue.record("\(civil) instead of \(expected)")
                return
            }
            ms += 86_400_000
            weekday = (weekday + 1) % 7
            day += 1
            if day > Timestamp.days(inMonth: month, year: year) {
                day = 1
                month += 1
            }
            if month > 12 {
                month = 1
                year += 1
            }
        }
    }

    @Test("run over into the next day and month when a part is too large")
    func overflow() {
        #expect(Timestamp.ms(year: 2026, month: 2, day: 29) == Timestamp.ms(year: 2026, month: 3, day: 1))
        #expect(Timestamp.ms(year: 2026, month: 1, day: 1, hour: 25) == Timestamp.ms(year: 2026, month: 1, day: 2, hour: 1))
        #expect(Timestamp.date(Timestamp.ms(year: 2028, month: 2, day: 29)) == "2028-02-29")
    }
}

@Suite("ULIDs") struct ULIDTests {
    @Test("carry their time in front and sort by it")
    func time() {
        let early = ULID.make(nowMs: 4_000_000_000_000)
        let late = ULID.make(nowMs: 4_000_000_000_001)
        #expect(early.utf8.count == 26)
        #expect(early < late)
        #expect(ULID.time(of: late) == 4_000_000_000_001)
        #expect(ULID.time(of: "01ARZ3NDEKTSV4RRFFQ69G5FAV") == 1_469_922_850_259)
    }

    @Test("grow within a millisecond, when the clock steps back, and on many threads at once")
    func monotonic() async {
        let all = await withTaskGroup(of: [String].self) { group in
            for _ in 0..<8 {
                group.addTask { (0..<2000).map { ULID.make(nowMs: 4_100_000_000_000 - Int64($0 % 3)) } }
            }
            return await group.reduce(into: [[String]]()) { $0.append($1) }
        }
        for one in all { #expect(zip(one, one.dropFirst()).allSatisfy { $0 < $1 }) }
        #expect(Set(all.joined()).count == 16_000)
    }

    @Test(
        "are told from other texts",
        arguments: ["", "01ARZ3NDEKTSV4RRFFQ69G5FA", "81ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAU", "01arz3ndektsv4rrffq69g5fav"])
    func refused(text: String) { #expect(ULID.time(of: text) == nil) }
}
