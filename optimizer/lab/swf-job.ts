/** One job of a log. Times in seconds; −1 for unknown. */
export interface SwfJob {
  readonly job: number
  readonly submitS: number
  readonly runS: number
  readonly processors: number
  readonly requestedS: number
  /** KB per processor. */
  readonly memoryKb: number
  readonly status: number
  readonly user: number
  readonly group: number
  readonly executable: number
  readonly queue: number
  readonly partition: number
}
