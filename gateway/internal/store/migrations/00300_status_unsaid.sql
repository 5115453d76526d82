-- +goose Up

-- Settings of the manifest last reported on that the device has said nothing of yet, joined by
-- spaces: a row of status_faults for each was a write for what is no fault.
ALTER TABLE desired ADD COLUMN unsaid TEXT NOT NULL DEFAULT '';
UPDATE desired SET unsaid = (SELECT string_agg(f.setting_id, ' ' ORDER BY f.setting_id) FROM status_faults f
        WHERE f.device_id = desired.device_id AND f.state = 'pending')
    WHERE device_id IN (SELECT device_id FROM status_faults WHERE state = 'pending');
DELETE FROM status_faults WHERE state = 'pending';
CREATE INDEX desired_unsaid ON desired (device_id) WHERE unsaid <> '';

-- +goose Down
DROP INDEX desired_unsaid;
ALTER TABLE desired DROP COLUMN unsaid;
