/** Names and their values, and a titled part of a page. */
import { ReactNode } from 'react';
import { value } from '../format';

export const Part = ({ title, children }: { title: string; children: ReactNode }) => (
  <section className="mlrun-Part">
    {title && <h2>{title}</h2>}
    {children}
  </section>
);

/** Nothing at all where there are no facts, unless `empty` is to be said. */
export function Facts({ title, facts, empty }: { title: string; facts: Record<string, unknown>; empty?: string }) {
  const shown = Object.entries(facts).filter(([, each]) => each !== '' && each !== undefined);
  if (!shown.length && !empty) {
    return null;
  }
  return (
    <Part title={title}>
      {shown.length ? (
        <dl>
          {shown.map(([name, each]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd title={value(each)}>{value(each)}</dd>
            </div>
          ))}
        </dl>
      ) : (
        <p className="mlrun-Dim">{empty}</p>
      )}
    </Part>
  );
}
