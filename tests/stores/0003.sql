BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE artifact_labels (
	uid VARCHAR(64) NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	value TEXT NOT NULL, 
	mark VARCHAR(200) NOT NULL, 
	project VARCHAR(63) NOT NULL, 
	created VARCHAR(40) NOT NULL, 
	PRIMARY KEY (uid, "key")
);
INSERT INTO "artifact_labels" VALUES('72d970a2a94d0af71b8bc9345e916e99a751d1ce','stage','final','final','flights','2026-03-01T09:00:40.000000+00:00');
INSERT INTO "artifact_labels" VALUES('ec917d754c662dd14074b96251cab386779a1655','stage','candidate','candidate','flights','2026-03-01T09:00:30.000000+00:00');
CREATE TABLE artifact_tags (
	project VARCHAR(63) NOT NULL, 
	db_key VARCHAR(255) NOT NULL, 
	iteration INTEGER NOT NULL, 
	tag VARCHAR(128) NOT NULL, 
	uid VARCHAR(64) NOT NULL, created VARCHAR(40) DEFAULT '' NOT NULL, 
	PRIMARY KEY (project, db_key, iteration, tag)
);
INSERT INTO "artifact_tags" VALUES('flights','train_model',0,'latest','72d970a2a94d0af71b8bc9345e916e99a751d1ce','2026-03-01T09:00:40.000000+00:00');
INSERT INTO "artifact_tags" VALUES('flights','train_model',0,'prod','72d970a2a94d0af71b8bc9345e916e99a751d1ce','2026-03-01T09:00:40.000000+00:00');
INSERT INTO "artifact_tags" VALUES('flights','train_data',0,'latest','e1facb6f8af93bb65f119d748170662087a188cc','2026-03-01T09:00:35.000000+00:00');
CREATE TABLE artifacts (
	uid VARCHAR(64) NOT NULL, 
	project VARCHAR(63) NOT NULL, 
	db_key VARCHAR(255) NOT NULL, 
	iteration INTEGER NOT NULL, 
	tree VARCHAR(64) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	created VARCHAR(40) NOT NULL, 
	doc TEXT NOT NULL, 
	PRIMARY KEY (uid)
);
INSERT INTO "artifacts" VALUES('ec917d754c662dd14074b96251cab386779a1655','flights','train_model',0,'01955000000070018000000000000001','model','2026-03-01T09:00:30.000000+00:00','{"key":"model","kind":"model","project":"flights","db_key":"train_model","tree":"01955000000070018000000000000001","path":"artifacts/flights/01955000000070018000000000000001/model","size":100,"digest":"1111111111111111111111111111111111111111111111111111111111111111","labels":{"stage":"candidate"},"producer":{"name":"train","uri":"flights/01955000000070018000000000000001"},"created":"2026-03-01T09:00:30.000000+00:00","updated":"2026-11-24T13:40:24.899806+00:00"}');
INSERT INTO "artifacts" VALUES('72d970a2a94d0af71b8bc9345e916e99a751d1ce','flights','train_model',0,'01955000000070058000000000000005','model','2026-03-01T09:00:40.000000+00:00','{"key":"model","kind":"model","project":"flights","db_key":"train_model","tree":"01955000000070058000000000000005","path":"artifacts/flights/01955000000070058000000000000005/model","size":100,"digest":"2222222222222222222222222222222222222222222222222222222222222222","labels":{"stage":"final"},"producer":{"name":"train","uri":"flights/01955000000070018000000000000001"},"created":"2026-03-01T09:00:40.000000+00:00","updated":"2026-11-24T13:40:24.901350+00:00"}');
INSERT INTO "artifacts" VALUES('e1facb6f8af93bb65f119d748170662087a188cc','flights','train_data',0,'01955000000070018000000000000001','dataset','2026-03-01T09:00:35.000000+00:00','{"key":"data","kind":"dataset","project":"flights","db_key":"train_data","tree":"01955000000070018000000000000001","path":"artifacts/flights/01955000000070018000000000000001/model","size":100,"digest":"3333333333333333333333333333333333333333333333333333333333333333","producer":{"name":"train","uri":"flights/01955000000070018000000000000001"},"created":"2026-03-01T09:00:35.000000+00:00","updated":"2026-11-24T13:40:24.902213+00:00"}');
CREATE TABLE function_tags (
	project VARCHAR(63) NOT NULL, 
	name VARCHAR(63) NOT NULL, 
	tag VARCHAR(128) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	updated VARCHAR(40) NOT NULL, 
	PRIMARY KEY (project, name, tag)
);
INSERT INTO "function_tags" VALUES('flights','train','latest','611d90be5cd42517d59364802230c9533bba5761','2026-11-24T13:40:24.892096+00:00');
INSERT INTO "function_tags" VALUES('flights','train','v1','e1b0a9088c3c64ea596816b5d3acd89275e75876','2026-11-24T13:40:24.888682+00:00');
CREATE TABLE functions (
	project VARCHAR(63) NOT NULL, 
	name VARCHAR(63) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	created VARCHAR(40) NOT NULL, 
	doc TEXT NOT NULL, 
	PRIMARY KEY (project, name, hash)
);
INSERT INTO "functions" VALUES('flights','train','e1b0a9088c3c64ea596816b5d3acd89275e75876','2026-03-01T08:00:01.000000+00:00','{"name":"train","project":"flights","code":{"cells":[{"source":"score = trees * 2"}]},"parameters":[{"name":"trees","type":"int","default":3}],"created":"2026-03-01T08:00:01.000000+00:00"}');
INSERT INTO "functions" VALUES('flights','train','611d90be5cd42517d59364802230c9533bba5761','2026-03-01T08:00:02.000000+00:00','{"name":"train","project":"flights","code":{"cells":[{"source":"score = trees * 3"}]},"parameters":[{"name":"trees","type":"int","default":3}],"created":"2026-03-01T08:00:02.000000+00:00"}');
CREATE TABLE metrics (
	uid VARCHAR(32) NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	step INTEGER NOT NULL, 
	time VARCHAR(40) NOT NULL, 
	value FLOAT, 
	special VARCHAR(8) DEFAULT '' NOT NULL, 
	PRIMARY KEY (uid, "key", step, time)
);
INSERT INTO "metrics" VALUES('01955000000070018000000000000001','loss',0,'t0',0.5,'');
INSERT INTO "metrics" VALUES('01955000000070018000000000000001','loss',1,'t1',NULL,'nan');
INSERT INTO "metrics" VALUES('01955000000070018000000000000001','auc',0,'',0.75,'');
CREATE TABLE outbox (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	kind VARCHAR(32) NOT NULL, 
	uid VARCHAR(64) NOT NULL, 
	created VARCHAR(40) NOT NULL, 
	due VARCHAR(40) NOT NULL, 
	attempts INTEGER DEFAULT '0' NOT NULL, 
	error TEXT DEFAULT '' NOT NULL
);
INSERT INTO "outbox" VALUES(1,'run','01955000000070058000000000000005','2026-11-24T13:40:24.903701+00:00','2026-11-24T13:40:24.903701+00:00',0,'');
CREATE TABLE projects (
	name VARCHAR(63) NOT NULL, 
	created VARCHAR(40) NOT NULL, 
	doc TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "projects" VALUES('flights','2026-03-01T08:00:00.000000+00:00','{"metadata":{"name":"flights","created":"2026-03-01T08:00:00.000000+00:00"}}');
CREATE TABLE run_labels (
	uid VARCHAR(32) NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	value TEXT NOT NULL, project VARCHAR(63) DEFAULT '' NOT NULL, mark VARCHAR(200) DEFAULT '' NOT NULL, 
	PRIMARY KEY (uid, "key")
);
INSERT INTO "run_labels" VALUES('01955000000070018000000000000001','team','blue','flights','blue');
INSERT INTO "run_labels" VALUES('01955000000070018000000000000001','größe','π','flights','π');
INSERT INTO "run_labels" VALUES('01955000000070028000000000000002','team','red','flights','red');
INSERT INTO "run_labels" VALUES('01955000000070028000000000000002','größe','π','flights','π');
INSERT INTO "run_labels" VALUES('01955000000070038000000000000003','team','blue','flights','blue');
INSERT INTO "run_labels" VALUES('01955000000070038000000000000003','größe','π','flights','π');
INSERT INTO "run_labels" VALUES('01955000000070048000000000000004','team','red','flights','red');
INSERT INTO "run_labels" VALUES('01955000000070048000000000000004','größe','π','flights','π');
INSERT INTO "run_labels" VALUES('01955000000070058000000000000005','team','blue','flights','blue');
INSERT INTO "run_labels" VALUES('01955000000070058000000000000005','größe','π','flights','π');
CREATE TABLE run_results (
	uid VARCHAR(32) NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	project VARCHAR(63) NOT NULL, 
	value FLOAT NOT NULL, 
	PRIMARY KEY (uid, "key")
);
INSERT INTO "run_results" VALUES('01955000000070018000000000000001','auc','flights',0.75);
INSERT INTO "run_results" VALUES('01955000000070038000000000000003','auc','flights',0.5);
INSERT INTO "run_results" VALUES('01955000000070038000000000000003','n','flights',7.0);
INSERT INTO "run_results" VALUES('01955000000070058000000000000005','auc','flights',0.9);
CREATE TABLE runs (
	uid VARCHAR(32) NOT NULL, 
	project VARCHAR(63) NOT NULL, 
	name VARCHAR(63) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	function VARCHAR(200) NOT NULL, 
	parent VARCHAR(32) NOT NULL, 
	created VARCHAR(40) NOT NULL, 
	heartbeat VARCHAR(40) DEFAULT '' NOT NULL, 
	abort_requested INTEGER DEFAULT '0' NOT NULL, 
	doc TEXT NOT NULL, cache_key VARCHAR(64) DEFAULT '' NOT NULL, function_name VARCHAR(128) DEFAULT '' NOT NULL, started VARCHAR(40) DEFAULT '' NOT NULL, duration FLOAT, size BIGINT DEFAULT '0' NOT NULL, updated VARCHAR(40) DEFAULT '' NOT NULL, 
	PRIMARY KEY (uid)
);
INSERT INTO "runs" VALUES('01955000000070018000000000000001','flights','train','completed','flights/train@611d90be5cd42517d59364802230c9533bba5761','','2026-03-01T09:00:01.000000+00:00','',0,'{"uid":"01955000000070018000000000000001","project":"flights","name":"train","state":"completed","function":"flights/train@611d90be5cd42517d59364802230c9533bba5761","parameters":{"trees":1},"results":{"auc":0.75,"best":true,"words":"many"},"labels":{"größe":"π","team":"blue"},"created":"2026-03-01T09:00:01.000000+00:00","started":"2026-03-01T09:00:01.000000+00:00","ended":"2026-03-01T09:00:31.000000+00:00","updated":"2026-03-01T09:00:01.000000+00:00","folder":"runs/flights/01955000000070018000000000000001"}','','flights/train','2026-03-01T09:00:01.000000+00:00',30.0,0,'');
INSERT INTO "runs" VALUES('01955000000070028000000000000002','flights','train','error','flights/train@611d90be5cd42517d59364802230c9533bba5761','','2026-03-01T09:00:02.000000+00:00','',0,'{"uid":"01955000000070028000000000000002","project":"flights","name":"train","state":"error","function":"flights/train@611d90be5cd42517d59364802230c9533bba5761","parameters":{"trees":2},"labels":{"größe":"π","team":"red"},"cause":"ValueError: no","created":"2026-03-01T09:00:02.000000+00:00","started":"2026-03-01T09:00:02.000000+00:00","ended":"2026-03-01T09:00:12.000000+00:00","updated":"2026-03-01T09:00:02.000000+00:00","folder":"runs/flights/01955000000070028000000000000002"}','','flights/train','2026-03-01T09:00:02.000000+00:00',10.0,0,'');
INSERT INTO "runs" VALUES('01955000000070038000000000000003','flights','train','completed','flights/train@611d90be5cd42517d59364802230c9533bba5761','01955000000070018000000000000001','2026-03-01T09:00:03.000000+00:00','',0,'{"uid":"01955000000070038000000000000003","project":"flights","name":"train","state":"completed","iteration":1,"parent":"01955000000070018000000000000001","function":"flights/train@611d90be5cd42517d59364802230c9533bba5761","parameters":{"trees":3},"results":{"auc":0.5,"n":7},"labels":{"größe":"π","team":"blue"},"created":"2026-03-01T09:00:03.000000+00:00","started":"2026-03-01T09:00:03.000000+00:00","ended":"2026-03-01T09:00:23.000000+00:00","updated":"2026-03-01T09:00:03.000000+00:00","folder":"runs/flights/01955000000070038000000000000003"}','','flights/train','2026-03-01T09:00:03.000000+00:00',20.0,0,'');
INSERT INTO "runs" VALUES('01955000000070048000000000000004','flights','train','running','flights/train@611d90be5cd42517d59364802230c9533bba5761','','2026-03-01T09:00:04.000000+00:00','',0,'{"uid":"01955000000070048000000000000004","project":"flights","name":"train","state":"running","function":"flights/train@611d90be5cd42517d59364802230c9533bba5761","parameters":{"trees":4},"labels":{"größe":"π","team":"red"},"created":"2026-03-01T09:00:04.000000+00:00","started":"2026-03-01T09:00:04.000000+00:00","updated":"2026-03-01T09:00:04.000000+00:00","folder":"runs/flights/01955000000070048000000000000004"}','','flights/train','2026-03-01T09:00:04.000000+00:00',NULL,0,'');
INSERT INTO "runs" VALUES('01955000000070058000000000000005','flights','train','completed','flights/train@611d90be5cd42517d59364802230c9533bba5761','','2026-03-01T09:00:05.000000+00:00','',0,'{"uid":"01955000000070058000000000000005","project":"flights","name":"train","state":"completed","function":"flights/train@611d90be5cd42517d59364802230c9533bba5761","parameters":{"trees":5},"results":{"auc":0.9},"labels":{"größe":"π","team":"blue"},"annotations":{"why":"it''s \"quoted\""},"created":"2026-03-01T09:00:05.000000+00:00","started":"2026-03-01T09:00:05.000000+00:00","ended":"2026-03-01T09:00:06.000000+00:00","updated":"2026-03-01T09:00:05.000000+00:00","folder":"runs/flights/01955000000070058000000000000005"}','','flights/train','2026-03-01T09:00:05.000000+00:00',1.0,0,'');
CREATE TABLE uses (
	run VARCHAR(32) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	uri TEXT NOT NULL, 
	direction VARCHAR(3) NOT NULL, 
	PRIMARY KEY (run, name, uri, direction)
);
INSERT INTO "uses" VALUES('01955000000070018000000000000001','model','store://models/flights/train_model@01955000000070018000000000000001','out');
INSERT INTO "uses" VALUES('01955000000070058000000000000005','model','store://models/flights/train_model@01955000000070018000000000000001','in');
CREATE INDEX runs_by_project_state ON runs (project, state, uid);
CREATE INDEX runs_by_name ON runs (project, name, uid);
CREATE INDEX runs_by_function ON runs (project, function, uid);
CREATE INDEX runs_by_state ON runs (state, uid);
CREATE INDEX runs_by_parent ON runs (parent, uid);
CREATE INDEX runs_by_project ON runs (project, parent, uid);
CREATE INDEX run_labels_by_key ON run_labels ("key", uid);
CREATE INDEX artifacts_by_tree ON artifacts (tree, created);
CREATE INDEX ix_artifact_tags_uid ON artifact_tags (uid);
CREATE INDEX uses_by_uri ON uses (uri);
CREATE INDEX ix_outbox_due ON outbox (due);
CREATE INDEX functions_by_created ON functions (project, created, hash);
CREATE INDEX functions_by_name ON functions (project, name, created, hash);
CREATE INDEX runs_by_function_name ON runs (project, function_name, uid);
CREATE INDEX runs_by_created ON runs (project, created, uid);
CREATE INDEX runs_by_started ON runs (project, started, uid);
CREATE INDEX runs_by_duration ON runs (project, duration, uid);
CREATE INDEX runs_by_size ON runs (project, size, uid);
CREATE INDEX runs_by_cache_key ON runs (project, cache_key, uid) WHERE cache_key <> '';
CREATE INDEX runs_listing ON runs (project, uid, parent, state, name, function_name, created);
CREATE INDEX run_labels_by_value ON run_labels (project, "key", mark, uid);
CREATE INDEX run_results_by_value ON run_results (project, "key", value, uid);
CREATE INDEX artifacts_by_db_key ON artifacts (project, db_key, created, uid);
CREATE INDEX artifacts_by_maker ON artifacts (project, tree, created, uid);
CREATE INDEX artifacts_by_kind_created ON artifacts (project, kind, created, uid);
CREATE INDEX artifacts_by_created ON artifacts (created, uid);
CREATE INDEX artifacts_listing ON artifacts (project, created, uid, db_key, kind, tree);
CREATE INDEX artifact_tags_by_tag ON artifact_tags (project, tag, created, uid);
CREATE INDEX artifact_labels_by_value ON artifact_labels (project, "key", mark, created, uid);
CREATE INDEX runs_by_updated ON runs (updated, uid);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('outbox',1);
COMMIT;
