import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // What takes ten seconds on an idle machine takes more than a minute on one that has four times as much to do, and a test that waits
    // in vain says so itself, sooner.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: ['default']
  }
})
