import Formats
import JobQueue
import TestSupport

/// What Python's zoneinfo and a walk minute by minute say: an opinion that shares no line with ours.
enum ZoneOracle {
    /// One window around a turn of a clock, and the ticks that a schedule has in it.
    struct Window: Sendable {
        let zone: String
        let expression: String
        let startMs: Int64
        let endMs: Int64
        let ticksMs: [Int64]
    }

    /// A zone's distance to UTC at a moment.
    struct Reading: Sendable {
        let zone: String
        let atMs: Int64
        let seconds: Int
    }

    /// Zones with rules of every sort: half an hour, two hours, negative summers, days left out, Ramadan, changes at midnight and at a
    /// minute past it, changes of heart, no change at all.
    static let zones = [
        "Africa/Abidjan", "Africa/Cairo", "Africa/Casablanca", "Africa/El_Aaiun", "Africa/Juba", "Africa/Sao_Tome", "Africa/Windhoek",
        "America/Asuncion", "America/Caracas", "America/Havana", "America/Los_Angeles", "America/Mexico_City", "America/New_York", "America/Nuuk",
        "America/Santiago", "America/Sao_Paulo", "America/Scoresbysund", "America/St_Johns", "Antarctica/Casey", "Antarctica/Troll",
        "Asia/Amman", "Asia/Beirut", "Asia/Dhaka", "Asia/Gaza", "Asia/Hebron", "Asia/Jerusalem", "Asia/Kathmandu", "Asia/Kolkata",
        "Asia/Pyongyang", "Asia/Tehran", "Asia/Tokyo", "Atlantic/Azores", "Australia/Eucla", "Australia/Lord_Howe", "Australia/Sydney",
        "Europe/Chisinau", "Europe/Dublin", "Europe/Istanbul", "Europe/Lisbon", "Europe/London", "Europe/Moscow", "Europe/Paris",
        "Europe/Volgograd", "Pacific/Apia", "Pacific/Chatham", "Pacific/Easter", "Pacific/Fakaofo", "Pacific/Kiritimati", "Pacific/Kwajalein",
        "Pacific/Norfolk", "Pacific/Tongatapu",
    ]

    static let expressions = [
        "30 2 * * *", "0 0 * * *", "*/20 * * * *", "15 1-3 * * *", "0 * * * *", "*/7 0,2,3,23 * * *", "45 1 * * 0", "30 0 1-31/2 * mon",
        "5 */2 * * *", "0 12 * * *",
    ]

    /// Every turn of every clock from 1970 to 2037 and every third to 2100, each with some of the schedules; and readings of all zones that
    /// there are.
    static func ask(in folder: TemporaryFolder) async throws {
        let arguments = ["-c", script, folder.file("answers"), zones.joined(separator: " "), expressions.joined(separator: ";")]
        let process = try await ProcessFixture.start("python3", arguments)
        guard try await process.waitForExit(within: .seconds(120)) == .exited(0) else { throw FixtureError("python3: \(process.transcript)") }
    }

    /// Reads what was answered. A long read: not on a thread that others wait for.
    static func answers(in folder: TemporaryFolder) -> (windows: [Window], readings: [Reading]) {
        var windows: [Window] = []
        var readings: [Reading] = []
        for line in (folder.read("answers") ?? []).split(separator: 0x0A) {
            let fields = line.split(separator: UInt8(ascii: "|"), omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
            if fields.count == 5, let index = Int(fields[1]), let start = Int64(fields[2]), let minutes = Int64(fields[3]) {
                let ticks = fields[4].split(separator: ",").compactMap { Int64($0).map { start * 1000 + $0 * 60_000 } }
                let endMs = (start + minutes * 60) * 1000
                windows.append(
                    Window(zone: fields[0], expression: expressions[index], startMs: start * 1000, endMs: endMs, ticksMs: ticks))
            } else if fields.count == 3, let at = Int64(fields[1]), let seconds = Int(fields[2]) {
                readings.append(Reading(zone: fields[0], atMs: at * 1000, seconds: seconds))
            }
        }
        return (windows, readings)
    }

    private static let script = #"""
        import sys, random, zoneinfo
        from datetime import datetime, timezone, date, timedelta

        EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
        FIRST = 0
        LAST = int(datetime(2101, 1, 1, tzinfo=timezone.utc).timestamp())
        FAR = int(datetime(2038, 1, 1, tzinfo=timezone.utc).timestamp())
        WEEK = 7 * 86400

        def offset(zone, at):
            return int((EPOCH + timedelta(seconds=at)).astimezone(zone).utcoffset().total_seconds())

        def turns(zone):
            found, before = [], offset(zone, FIRST)
            for at in range(FIRST + WEEK, LAST, WEEK):
                now = offset(zone, at)
                if now != before:
                    low, high = at - WEEK, at
                    while high - low > 1:
                        middle = (low + high) // 2
                        if offset(zone, middle) == before: low = middle
                        else: high = middle
                    found.append(high)
                    before = now
            return found

        NAMES = {name: number for number, name in enumerate("sun mon tue wed thu fri sat".split())}

        def members(field, low, high):
            result = set()
            for part in field.split(","):
                part, _, step = part.partition("/")
                if part == "*": first, last = low, high
                elif "-" in part: first, last = (int(NAMES.get(end, end)) for end in part.split("-"))
                else: first = last = int(NAMES.get(part, part))
                result |= set(range(first, last + 1, int(step or 1)))
            return result

        class Cron:
            def __init__(self, text):
                fields = text.split()
                self.minutes, self.hours = members(fields[0], 0, 59), members(fields[1], 0, 23)
                self.days, self.months, self.weekdays = members(fields[2], 1, 31), members(fields[3], 1, 12), members(fields[4], 0, 6)
                self.either = fields[2][0] != "*" and fields[4][0] != "*"
                self.hourly = len(self.hours) == 24
                self.cache = {}
            def on(self, day):
                if day not in self.cache:
                    when = date(1970, 1, 1) + timedelta(days=day)
                    by_month, by_week = when.day in self.days, when.isoweekday() % 7 in self.weekdays
                    self.cache[day] = when.month in self.months and (by_month or by_week if self.either else by_month and by_week)
                return self.cache[day]
            # A time is a number of minutes that the wall clock shows.
            def has(self, shown):
                day, minute = divmod(shown, 1440)
                return minute % 60 in self.minutes and minute // 60 in self.hours and self.on(day)

        def ticks(cron, shown, since):
            latest, found = since, []
            for index, now in enumerate(shown):
                if cron.hourly: fires = cron.has(now)
                else: fires = any(cron.has(time) for time in range(latest + 1, now + 1))
                if fires: found.append(index)
                latest = max(latest, now)
            return found

        answers = open(sys.argv[1], "w")
        crons = [Cron(text) for text in sys.argv[3].split(";")]
        count = 0
        for name in sys.argv[2].split():
            zone = zoneinfo.ZoneInfo(name)
            for number, turn in enumerate(turns(zone)):
                # Rules without end say the same year after year: some years of the far ones.
                if turn > FAR and number % 6 > 1: continue
                jump = abs(offset(zone, turn) - offset(zone, turn - 1))
                reach = 2 * 3600 + jump
                start = (turn - reach) // 60 * 60
                minutes = 2 * reach // 60
                # Clocks that differ from UTC by seconds are asked elsewhere.
                if any(offset(zone, at) % 60 for at in (turn - 1, turn)): continue
                shown = [(start + 60 * i + offset(zone, start + 60 * i)) // 60 for i in range(minutes + 1)]
                since = max((start - 60 * i + offset(zone, start - 60 * i)) // 60 for i in range(1, 60 * 26, 60))
                for pick in range(2):
                    index = (count * 2 + pick) % len(crons)
                    print(name, index, start, minutes, ",".join(map(str, ticks(crons[index], shown, since))), sep="|", file=answers)
                count += 1

        random.seed(4)
        for name in sorted(zoneinfo.available_timezones()):
            zone = zoneinfo.ZoneInfo(name)
            for _ in range(40):
                at = random.randrange(-3 * 10**9, LAST)
                print(name, at, offset(zone, at), sep="|", file=answers)
        """#
}
