import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { DEFAULT_ENVIRONMENT } from '../../node/supervisor/options.ts'
import { errorsDocument, limitsDocument, readRepositoryFile } from '../helpers/documented.ts'

test.each([
  ['docs/errors.md', errorsDocument],
  ['docs/limits.md', limitsDocument]
])('%s lists exactly the table of the code', (path, document) => {
  if (process.env['UPDATE'] === '1') writeFileSync(new URL(`../../${path}`, import.meta.url), document())
  expect(readRepositoryFile(path)).toBe(document())
})

test('every limit says what it bounds', () => {
  expect(limitsDocument()).not.toMatch(/\| {2}\|$/m)
})

test('docs/api.md names every variable that a command gets', () => {
  const document = readRepositoryFile('docs/api.md')
  const own = readRepositoryFile('node/executors/shell/command.ts').match(/\bDTSS_[A-Z_]+(?=:)/g) ?? []
  expect(own.length).toBeGreaterThan(5)
  for (const name of [...DEFAULT_ENVIRONMENT, ...own]) expect(document).toContain(`\`${name}\``)
})
