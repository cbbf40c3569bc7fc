/** What a run has printed, followed while it goes on. */
import { IRenderMimeRegistry, renderText } from '@jupyterlab/rendermime';
import { memo, useEffect, useLayoutEffect, useRef, useState } from 'react';
import { ApiError } from '../api/client';
import { Entry } from '../api/types';
import { Model, asApiError } from '../model';
import { ErrorBox, useTrans } from '../parts';
import { IBlock, Log } from './log';

interface IPart {
  entries: Entry[];
  /** Whether the run is over, and nothing comes behind these. */
  end: boolean;
}

interface ILiveLog {
  uid: string;
  model: Model;
  going: boolean;
  registry: IRenderMimeRegistry;
}

/** What the run has printed, followed while it goes on; stays at the end unless the reader has scrolled up. */
export function LiveLog({ uid, model, going, registry }: ILiveLog) {
  const trans = useTrans();
  const log = useRef(new Log());
  const node = useRef<HTMLDivElement>(null);
  const [blocks, setBlocks] = useState<readonly IBlock[] | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const again = useRef(() => {});
  useEffect(() => {
    let gone = false;
    let reading = false;
    let wanted = false;
    let told: Entry[][] = [];
    let frame = 0;
    // much may come between two pictures
    const draw = () => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => setBlocks(log.current.blocks));
    };
    // adds them where nothing before them is missing
    const fit = (entries: Entry[]) => {
      if (entries[0] && entries[0].n > log.current.last + 1) {
        return false;
      }
      log.current.add(entries);
      return true;
    };
    const read = async () => {
      // one reader at a time: entries have an order, and the pages give it
      wanted = true;
      if (reading) {
        return;
      }
      reading = true;
      told = [];
      try {
        for (let more = true; more && !gone;) {
          const after = log.current.last;
          wanted = false;
          const page = await model.client.get<IPart>(`runs/${uid}/journal`, { after, limit: 5000 });
          if (gone) {
            return;
          }
          log.current.add(page.entries);
          const { last } = log.current;
          // where the stream goes on at the end of the page, it has the rest
          const missing = !told.every(fit);
          const joined = !missing && log.current.last > last;
          told = [];
          // a page ends at a number of entries, or of bytes: only one without entries says that there are no more
          more = !page.end && (wanted || missing || (last > after && !joined));
          draw();
        }
        setError(null);
      } catch (failure) {
        if (!gone) {
          setError(asApiError(failure));
        }
      }
      reading = false;
    };
    const heard = (_: Model, event: { uid: string; entries: Entry[] }) => {
      if (event.uid !== uid) {
        return;
      }
      if (reading) {
        told.push(event.entries);
      } else if (fit(event.entries)) {
        draw();
      } else {
        // something before it is missing: the journal itself has it
        void read();
      }
    };
    model.journal.connect(heard);
    const missed = () => void read();
    model.missed.connect(missed);
    const watch = going ? model.watch(uid) : null;
    again.current = () => void read();
    void read();
    return () => {
      gone = true;
      cancelAnimationFrame(frame);
      model.journal.disconnect(heard);
      model.missed.disconnect(missed);
      watch?.dispose();
    };
  }, [uid, going]);
  const atEnd = useRef(true);
  useEffect(() => {
    if (atEnd.current && node.current) {
      node.current.scrollTop = node.current.scrollHeight;
    }
  }, [blocks]);
  return (
    <>
      {error && <ErrorBox error={error} retry={() => again.current()} />}
      {log.current.cut && (
        <p className="mlrun-Dim mlrun-Note">
          {trans.__('Only its end is shown here.')}{' '}
          <a
            className="mlrun-Link"
            href={model.client.url(`runs/${uid}/logs`)}
            target="_blank"
            rel="noopener noreferrer"
          >
            {trans.__('All of it')}
          </a>
        </p>
      )}
      <div
        className="mlrun-Log"
        ref={node}
        tabIndex={0}
        role="log"
        aria-live="off"
        aria-label={trans.__('Log')}
        onScroll={event => {
          const it = event.currentTarget;
          atEnd.current = it.scrollHeight - it.scrollTop - it.clientHeight < 20;
        }}
      >
        {blocks?.map(each => (
          <Block key={each.id} text={each.text} registry={registry} />
        ))}
        {!blocks?.length && (
          <span className="mlrun-Dim">
            {blocks === null
              ? trans.__('Loading…')
              : going
                ? trans.__('Nothing printed yet.')
                : trans.__('Nothing was printed.')}
          </span>
        )}
      </div>
    </>
  );
}

/** Lines as JupyterLab shows the text of an output: with colours, and links. */
const Block = memo(function Block({ text, registry }: { text: string; registry: IRenderMimeRegistry }) {
  const host = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const fresh = document.createElement('div');
    void renderText({ host: fresh, source: text, sanitizer: registry.sanitizer });
    host.current!.replaceChildren(...fresh.childNodes);
  }, [text, registry]);
  return <div ref={host} className="mlrun-Log-block jp-RenderedText" />;
});
