/// The names that users of other Swift libraries know. Each says in one line what it is here.
extension JobService {
    /// ``push(_:options:)``, by the name that Vapor's queues give it.
    /// - Parameters:
    ///   - maxRetryCount: attempts after the first one; never more than the kind's policy allows. Nil leaves it to the policy.
    ///   - delayUntil: not before; `.now + .seconds(60)`.
    /// - Returns: the job's id.
    @discardableResult
    public func dispatch<J: AsyncJob>(
        _ job: J.Type, _ payload: J.Payload, maxRetryCount: Int? = nil, delayUntil: JobTime? = nil
    ) async throws -> String where J.Payload.PaymentRule == PaymentOptional {
        try await push(payload, options: JobOptions(delayUntil: delayUntil, maxRetryCount: maxRetryCount))
    }

    /// The same for a kind that is only ever done for a payment.
    @discardableResult
    public func dispatch<J: AsyncJob>(
        _ job: J.Type, _ payload: J.Payload, payment: String, maxRetryCount: Int? = nil, delayUntil: JobTime? = nil
    ) async throws -> String where J.Payload: PaidOnlyParameters {
        try await push(payload, options: JobOptions(delayUntil: delayUntil, payment: payment, maxRetryCount: maxRetryCount))
    }

    /// ``registerJob(_:guard:)-swift.method``, by the name that Vapor's queues give it.
    public func add<J: AsyncJob>(_ job: J) where J.Payload.PaymentRule == PaymentOptional { registerJob(job) }
}

extension CronSchedule {
    /// ``cron(_:zone:zones:)``, by the name that swift-jobs gives it.
    public static func crontab(_ text: String, timeZone: String = "UTC") throws(CronError) -> CronSchedule { try cron(text, zone: timeZone) }

    /// At a minute of each hour.
    public static func hourly(minute: Int = 0, timeZone: NamedTimeZone = .utc) -> CronSchedule {
        CronSchedule(CronExpression(of: "\(minute) * * * *"), zone: timeZone)
    }

    /// At a time of each day.
    public static func daily(hour: Int, minute: Int = 0, timeZone: NamedTimeZone = .utc) -> CronSchedule {
        CronSchedule(CronExpression(of: "\(minute) \(hour) * * *"), zone: timeZone)
    }

    /// At a time of a day of each week.
    public static func weekly(
        day: ScheduleBuilder.Weekday, hour: Int, minute: Int = 0, timeZone: NamedTimeZone = .utc
    ) -> CronSchedule {
        CronSchedule(CronExpression(of: "\(minute) \(hour) * * \(day.rawValue)"), zone: timeZone)
    }

    /// At a time of a day of each month; months that do not have it are left out.
    public static func monthly(date: Int, hour: Int, minute: Int = 0, timeZone: NamedTimeZone = .utc) -> CronSchedule {
        CronSchedule(CronExpression(of: "\(minute) \(hour) \(date) * *"), zone: timeZone)
    }
}
