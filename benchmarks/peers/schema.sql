CREATE TABLE product (
    uuid CHAR(36) NOT NULL,
    email VARCHAR(128) NOT NULL,
    PRIMARY KEY (uuid),
    UNIQUE (email)
)
