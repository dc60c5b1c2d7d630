/** The node's figures as Prometheus text. Read from the runtime when scraped; nothing is counted twice. */
import { Counter, Gauge, Registry } from 'prom-client'
import type { NodeMetrics, NodeRuntime } from '../../runtime/node-runtime.ts'

export interface NodeMetricsPage {
  render(): Promise<{ readonly contentType: string; readonly text: string }>
}

/** Name, help and how to read each figure. Names end in their unit; `_total` only rises. */
const FIGURES: readonly (readonly [
  string,
  string,
  (runtime: NodeRuntime, metrics: NodeMetrics) => number
])[] = [
  ['dtss_raft_term', 'Current Raft term', (r) => r.raftStatus().hardState.term],
  ['dtss_raft_commit_index', 'Highest committed log index', (r) => r.committed],
  ['dtss_raft_applied_index', 'Highest applied log index', (r) => r.appliedIndex],
  ['dtss_raft_is_leader', '1 while this node leads', (r) => (r.reigning ? 1 : 0)],
  ['dtss_raft_turns_total', 'Raft turns run', (_, m) => m.turns],
  ['dtss_raft_longest_turn_seconds', 'Longest raft turn since the start', (_, m) => m.longestTurnMs / 1000],
  ['dtss_raft_dropped_frames_total', 'Frames that did not decode', (_, m) => m.droppedFrames],
  ['dtss_wal_syncs_total', 'Writes that waited for the disk', (_, m) => m.wal.syncs],
  ['dtss_wal_written_bytes_total', 'Bytes handed to the disk', (_, m) => m.wal.bytesWritten],
  ['dtss_wal_sync_p99_seconds', 'p99 of the last 1,024 log writes', (_, m) => m.wal.syncMs.p99 / 1000],
  ['dtss_wal_segments', 'Segments of the log', (_, m) => m.wal.segments],
  ['dtss_tasks_live', 'Tasks that have not ended', (r) => r.state.tasks.size],
  ['dtss_tasks_ready', 'Tasks that wait for a slot', (r) => r.state.ready.size],
  ['dtss_tasks_kept', 'Ended tasks that have not retired', (r) => r.state.tombstones.size],
  ['dtss_attempts_running', 'Attempts running on this node', (_, m) => m.running],
  ['dtss_proposals_outstanding', 'Proposals that wait for their outcome', (_, m) => m.outstanding]
]

export function createMetrics(runtime: NodeRuntime): NodeMetricsPage {
  const registry = new Registry()
  const registers = [registry]
  // Read once a scrape: percentiles are worked out anew each time.
  let current = runtime.metrics()
  for (const [name, help, read] of FIGURES) {
    if (name.endsWith('_total')) {
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset()
          this.inc(read(runtime, current))
        }
      })
    } else {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read(runtime, current))
        }
      })
    }
  }
  return {
    render: async () => {
      current = runtime.metrics()
      return { contentType: registry.contentType, text: await registry.metrics() }
    }
  }
}
